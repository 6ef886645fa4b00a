import { type Paint, shown } from './paint.ts';
import { type HeardEvent, replayOf } from './world-client.ts';

/** One event as one line: when, from whom, what, about which task, and the little that tells it from others of its type. */
export function eventLine(event: HeardEvent, paint: Paint): string {
  const time = paint.dim(event.time.slice(11, 23).padEnd(12));
  const type = event.source === 'baton' ? paint.bold(event['detail-type']) : paint.cyan(event['detail-type']);
  const { taskId, more: telling } = aboutOf(event);
  const replay = replayOf(event);
  const more = replay === undefined ? telling : `(replay ${replay}) ${telling}`.trim();
  return `${time}  ${paint.dim(event.source.padEnd(13))}  ${type}  ${taskId}${more === '' ? '' : `  ${paint.dim(shown(more))}`}`.trimEnd();
}

/** The task that an event is about, as far as it tells, and its most telling field. */
function aboutOf({ detail }: HeardEvent): { taskId: string; more: string } {
  const metadata = fieldsOf(detail['metadata']);
  const data = fieldsOf(detail['data']);
  const startedBy = textOf(detail['startedBy']).split('/');
  const taskId = textOf(metadata['taskId']) || textOf(data['taskId']) || (startedBy.at(-2) ?? '');
  const reason = textOf(fieldsOf(data['reason'])['code']);
  const more = textOf(detail['lastStatus']) || textOf(data['text']) || reason || textOf(data['status']);
  return { taskId, more };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

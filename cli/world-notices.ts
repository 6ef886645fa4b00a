import { alarmRang } from '../events/alarm-rang.ts';
import { eventOf } from '../events/index.ts';
import { repositoryConfigRefused } from '../events/repository-config-refused.ts';
import { taskRejected } from '../events/task-rejected.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import type { WorldOptions } from '../runtime/embedded-world.ts';
import { replayOf } from '../runtime/react.ts';
import type { Envelope } from '../schemas/envelope.ts';
import { shown } from './paint.ts';

export type WorldNotices = Required<Pick<WorldOptions, 'onDeadLetter' | 'warn'>>;

/** Tells on standard error what a world of this process gives up and what it tries again, each in one line; with `json`, as JSON. */
export function worldNotices(complain: (text: string) => void, { json }: { readonly json: boolean }): WorldNotices {
  return {
    onDeadLetter({ event, rule, tries, at, error }) {
      const about = { id: event.id, type: event['detail-type'] };
      complain(
        json
          ? JSON.stringify({ type: 'dead-letter', at, rule, tries, event: about, error })
          : `baton: gave up ${about.type} ${about.id} for the rule ${rule} after ${tries} ${tries === 1 ? 'try' : 'tries'}: ${oneLine(error.message)} (${error.code}); ${repairOf(event)}`,
      );
    },
    warn(message, error) {
      const why = error instanceof Error ? error.message : String(error);
      const told = why === '' ? message : `${message}: ${why}`;
      complain(json ? JSON.stringify({ type: 'warning', message, error: why }) : `baton: ${oneLine(told)}`);
    },
  };
}

/** A task's alarm says again what drives it, and itself rings again. Everything else waits for somebody. */
const repairOf = ({ source, 'detail-type': type }: Envelope): string =>
  source === alarmRang.source || (source === taskRejected.source && eventOf(type)?.drives)
    ? "the task's own alarm repairs what it can"
    : 'it is kept: `baton redrive` lists it and delivers it once more';

/** Tells each refused request in one line: who put it on the bus got no answer. The event has no prompt. */
export const rejectionNotice =
  (complain: (text: string) => void) =>
  (event: Envelope): void => {
    // What is replayed is no news.
    if (event.source !== taskRejected.source || replayOf(event) !== undefined) return;
    const { data } = (event as Envelope<string, { data?: unknown }>).detail;
    const told = refusalIn(event['detail-type'], data);
    if (told === undefined) return;
    const { request, reason } = told;
    complain(`baton: refused the request ${shown(request)}: ${shown(reason.message)} (${reason.code})`);
  };

/** Tells each worker that is taken out of its fleet in one line: on one machine there is no alarm. */
export const quarantineNotice =
  (complain: (text: string) => void) =>
  (event: Envelope): void => {
    const isNews = event.source === workerQuarantined.source && replayOf(event) === undefined;
    if (event['detail-type'] !== workerQuarantined.type || !isNews) return;
    const { data } = workerQuarantined.schema.safeParse((event.detail as { data?: unknown }).data);
    if (data === undefined) return;
    const { worker, fleet, reason } = data;
    const why = `${shown(reason.message)} (${reason.code})`;
    complain(`baton: worker ${worker} of the fleet ${fleet} is taken out, and replaced: ${why}`);
  };

function refusalIn(type: string, data: unknown) {
  const task = type === taskRejected.type ? taskRejected.schema.safeParse(data).data : undefined;
  if (task) return { request: `for task ${task.taskId}`, reason: task.reason };
  const config =
    type === repositoryConfigRefused.type ? repositoryConfigRefused.schema.safeParse(data).data : undefined;
  return config && { request: `to configure ${JSON.stringify(config.name)}`, reason: config.reason };
}

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, '; ');

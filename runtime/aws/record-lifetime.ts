import type { RunRecord } from '../../schemas/run-record.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import type { Worker } from '../../schemas/worker.ts';

const DAY_S = 86_400;

/**
 * When a record may be forgotten, in epoch seconds; undefined while it is needed, and for kinds that stay for ever. `now` is in epoch
 * milliseconds. DynamoDB deletes within days after, and until then the record counts as before: this is no timer.
 */
export function expiryOf(key: string, value: unknown, days: number, now: number): number | undefined {
  const kind = key.slice(0, key.indexOf('#'));
  const needlessSince = endOf(kind, value, now);
  return needlessSince === undefined ? undefined : Math.ceil(needlessSince / 1000 + days * DAY_S);
}

/** Epoch milliseconds. */
function endOf(kind: string, value: unknown, now: number): number | undefined {
  switch (kind) {
    case 'TASK':
      return endOfTask(value as Task | Rejection);
    case 'RUN':
      return endOfRun(value as RunRecord, now);
    case 'WORKER':
      return endOfWorker(value as Worker);
    default:
      return undefined;
  }
}

/** One that is quarantined waits for the end of its machine. */
const endOfWorker = ({ state, since }: Worker): number | undefined =>
  state === 'gone' ? Date.parse(since) : undefined;

/** Epoch milliseconds. An unsettled task still has something due. */
function endOfTask(value: Task | Rejection): number | undefined {
  if (value.status === 'REJECTED') return Date.parse(value.at);
  return 'settledAt' in value && value.settledAt !== undefined ? Date.parse(value.settledAt) : undefined;
}

/** A run record does not say when it was closed: it is written for the last time about then. */
const endOfRun = (value: RunRecord, now: number): number | undefined => (value.closed ? now : undefined);

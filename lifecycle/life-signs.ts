import { losesEvents, signals } from '../schemas/compute.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { Task, TaskRun } from '../schemas/task.ts';
import type { Timings } from './timings.ts';

/** What was last seen of a run that beats: its signs of life as one text, and when Baton itself first saw that text. */
export type SeenLife = NonNullable<TaskRun['life']>;

/**
 * Whether a run of a back end without events of its own lives. `over`: nothing of it is waited for any more; `silent`: it was to show a
 * sign of life, and did not for too long.
 */
export type Life = 'starting' | 'alive' | 'silent' | 'over';

/** Does the runner of this task leave signs of life? Only then does silence mean anything. */
export const beats = ({ compute }: Pick<Task, 'compute'>): boolean => signals[compute] === 'heartbeats';

/**
 * So many waits for a start go by between two questions about a run whose back end may have lost what it said of it: half an hour on AWS. A
 * run that is over and was never said to be keeps its worker, and its task, no longer than that.
 */
export const QUIET_CHECKS = 6;

/** Is this task's back end asked about its run while that works? Silence means nothing then; the answer does. */
export const isAskedAbout = ({ compute }: Pick<Task, 'compute'>): boolean => losesEvents[compute];

/**
 * Looks that must find the same signs before their age counts. A laptop that slept for an hour wakes to signs of an hour ago, and its runner
 * has slept as well: it beats before these looks are over.
 */
const SAME_LOOKS_MIN = 3;

/**
 * Looks at a run and its record at a time of Baton's clock. Signs are compared with what was seen before and never with a clock: that of
 * the runner's machine may be wrong by any amount, as after a snapshot. What is seen for the first time is alive.
 */
export function lookAtLife(
  { dispatchedAt, life: before }: Pick<TaskRun, 'dispatchedAt' | 'life'>,
  record: RunRecord | undefined,
  at: string,
  timings: Pick<Timings, 'START_CHECK_S' | 'HEARTBEAT_SILENCE_S'>,
): { readonly life: Life; readonly seen: SeenLife } {
  const sign = record ? signOf(record) : '';
  const seen = before?.sign === sign ? { ...before, looks: before.looks + 1 } : { sign, at, looks: 0 };
  if (record?.report || record?.noClaim || record?.closed) return { life: 'over', seen };
  const isStill = seen.looks >= SAME_LOOKS_MIN;
  if (!record?.claim) {
    const isLate = secondsBetween(dispatchedAt, at) >= timings.START_CHECK_S;
    return { life: isStill && isLate ? 'silent' : 'starting', seen };
  }
  const isSilent = isStill && secondsBetween(seen.at, at) >= timings.HEARTBEAT_SILENCE_S;
  return { life: isSilent ? 'silent' : 'alive', seen };
}

/**
 * Changes with everything that a living runner writes into its record itself. Its progress comes by events, which may arrive when it is long
 * dead.
 */
const signOf = ({ claim, heartbeatAt, confirmedAt, savedWork }: RunRecord): string =>
  [claim?.at, heartbeatAt, confirmedAt, savedWork?.commit].join(' ').trim();

const secondsBetween = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 1_000;

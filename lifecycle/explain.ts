import type { ExplainedSlot, Explanation } from '../schemas/explanation.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { leaseOf, parseLease, type Slot } from '../schemas/slot.ts';
import type { DuePurpose, Task, TerminalTask } from '../schemas/task.ts';
import { attemptsMade } from './attempts-made.ts';
import { causalTree, explained } from './causal-tree.ts';
import { dueText } from './due-words.ts';
import { nextOf } from './next-step.ts';
import { waitersInOrder } from './slot-decisions.ts';
import { isSettled, isTerminal, sinceOf, states } from './states.ts';

/** All that is known about a task and around it. */
export interface Known {
  readonly task: Task;
  /** The records of its runs, as far as they are kept. */
  readonly records: readonly RunRecord[];
  /** The item of its slot key; none while nobody has used the key. */
  readonly slot: Slot | undefined;
  /** What was ignored and what came twice; undefined where that is kept in logs, and not beside the task. */
  readonly journal: { readonly duplicates: number; readonly ignored: readonly Ignored[] } | undefined;
  /** Now. */
  readonly at: string;
}

type Ignored = Explanation['ignored']['events'][number];

/** Holders of a full key that an explanation names: enough to see who is in the way. */
const HOLDERS_SHOWN = 10;

/** Who noticed the end of a task, for people. */
const detections: Readonly<Record<TerminalTask['detectedBy'], string>> = {
  report: "the runner's report said so",
  event: 'an event of the back end, or of Baton itself, said so',
  alarm: 'the alarm clock rang, and the records were looked at',
  request: 'somebody asked for it',
};

/** Why a task stands where it stands, and what must happen next. Pure; every state has an answer. */
export function explain({ task, records, slot, journal, at }: Known): Explanation {
  const { taskId, status, version, attempt, attempts, submittedAt, deadlineAt } = task;
  const record = records.find((one) => one.attempt === attempt);
  const place = slotOf(task, slot);
  const { tree, unlinked } = causalTree(task, records);
  return {
    taskId,
    status,
    ...sinceOf(task),
    version,
    attempt,
    attempts,
    ...(task.pauses === undefined ? {} : { pauses: task.pauses }),
    settled: isSettled(task),
    at,
    submittedAt,
    deadlineAt,
    compute: task.compute,
    isolation: task.isolation ?? 'shared',
    capacity: task.capacity ?? 'on-demand',
    standing: states[status].summary,
    ...('reason' in task ? { reason: explained(task.reason, isTerminal(task)) } : {}),
    tree,
    unlinked: [...unlinked],
    attemptsMade: attemptsMade(task, records),
    slot: place,
    due: dueDates(task),
    next: nextOf(task, { record, slot: place, at }),
    ...(isTerminal(task) ? { end: endOf(task) } : {}),
    ignored: journal
      ? { keptIn: 'journal', duplicates: journal.duplicates, events: [...journal.ignored] }
      : { keptIn: 'logs', duplicates: 0, events: [] },
  };
}

const endOf = (task: TerminalTask): NonNullable<Explanation['end']> => ({
  at: task.endedAt,
  detectedBy: task.detectedBy,
  detected: detections[task.detectedBy],
  ...(task.settledAt === undefined ? {} : { settledAt: task.settledAt }),
});

const dueDates = ({ due, compute }: Task): Explanation['due'] =>
  (Object.keys(due) as DuePurpose[])
    .flatMap((purpose) => {
      const at = due[purpose];
      return at === undefined ? [] : [{ purpose, at, happens: dueText(purpose, compute) }];
    })
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));

/** Where the task stands at its key. In BACKOFF it may have asked for its next attempt already. */
function slotOf(task: Task, slot: Slot | undefined): ExplainedSlot {
  const key = task.slotKey;
  if (!slot) return { key, standing: 'none', waiting: 0, holding: 0, holders: [] };
  const holders = Object.entries(slot.holders);
  const shared = {
    key,
    limit: slot.limit,
    waiting: Object.keys(slot.waiters).length,
    holding: holders.length,
    holders: holders
      .sort(([, a], [, b]) => (a.since < b.since ? -1 : a.since > b.since ? 1 : 0))
      .slice(0, HOLDERS_SHOWN)
      .map(([lease, { since }]) => ({ ...parseLease(lease), since })),
  };
  const lease = leaseOf(task.taskId, task.status === 'BACKOFF' ? task.attempt + 1 : task.attempt);
  const held = slot.holders[lease];
  if (held) return { ...shared, standing: held.grant ? 'granted' : 'holds', since: held.since };
  const waits = slot.waiters[lease];
  if (!waits) return { ...shared, standing: 'none' };
  return { ...shared, standing: 'waits', since: waits.since, place: waitersInOrder(slot).indexOf(lease) + 1 };
}

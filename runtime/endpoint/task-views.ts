import { readWhole } from '../../agent/supervisor-files.ts';
import { waitersInOrder } from '../../lifecycle/slot-decisions.ts';
import { isSettled, runOf, sinceOf } from '../../lifecycle/states.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import { nativeIdOf } from '../../schemas/run-handle.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { leaseOf, parseLease, type Slot } from '../../schemas/slot.ts';
import { supervisorRecord } from '../../schemas/supervised-run.ts';
import type { Task } from '../../schemas/task.ts';
import type { TaskSummary, TaskView } from '../../schemas/task-view.ts';
import type { TaskJournal } from '../engine/journal.ts';

/** What a view is made of besides the task. */
export interface Beside {
  readonly record: RunRecord | undefined;
  readonly journal: TaskJournal;
  /** The slot item of its key, where it waits. */
  readonly slot?: Slot | undefined;
  /** Directory of the current attempt's run; it may not exist. */
  readonly runDir: string;
}

/** A task as `show` gives it. */
export const viewOf = (task: Task, beside: Beside): TaskView => ({
  ...summaryOf(task, beside),
  history: task.history.map(({ transition, from, to, at, version, attempt, cause, facts }) => ({
    transition,
    from,
    to,
    at,
    version,
    attempt,
    cause: { id: cause.id, type: cause.type },
    facts: facts.map(({ id, type }) => ({ id, type })),
  })),
});

/** A task as `list` gives it. */
export function summaryOf(task: Task, { record, journal, slot, runDir }: Beside): TaskSummary {
  const { taskId, status, attempt, attempts, version, compute, repository, userId, due, submittedAt, deadlineAt } =
    task;
  const run = runViewOf(task, record, runDir);
  return {
    taskId,
    status,
    settled: isSettled(task),
    attempt,
    attempts,
    version,
    ...sinceOf(task),
    compute,
    ...(task.isolation === undefined ? {} : { isolation: task.isolation }),
    ...(task.capacity === undefined ? {} : { capacity: task.capacity }),
    repository,
    ...(task.baseBranch === undefined ? {} : { baseBranch: task.baseBranch }),
    userId,
    ...(task.labels ? { labels: task.labels } : {}),
    ...('reason' in task ? { reason: task.reason } : {}),
    ...('intent' in task ? { intent: task.intent } : {}),
    ...('result' in task && task.result ? { result: task.result } : {}),
    ...savedWorkOf(task, record),
    due,
    submittedAt,
    deadlineAt,
    ...('endedAt' in task ? { endedAt: task.endedAt } : {}),
    ...('settledAt' in task && task.settledAt ? { settledAt: task.settledAt } : {}),
    slot: task.slotKey,
    ...waitingOf(task, slot),
    ...(task.delay ? { delay: task.delay } : {}),
    priority: task.priority,
    ...(task.configuration === undefined ? {} : { configuration: task.configuration }),
    ...(task.pauses === undefined ? {} : { pauses: task.pauses }),
    ...('resumeAt' in task && task.resumeAt !== undefined ? { resumeAt: task.resumeAt } : {}),
    ...(run ? { run } : {}),
    ...progressOf(record),
    duplicates: journal.duplicates,
    ignored: [...journal.ignored],
  };
}

/** What came before the agent's first word is its runner's. */
function progressOf(record: RunRecord | undefined): Pick<TaskSummary, 'progress'> {
  if (!record?.progress) return {};
  const { progress, firstOutputAt } = record;
  return { progress: { ...progress, ...(firstOutputAt === undefined ? { by: 'runner' as const } : {}) } };
}

/** Holders that a view names: enough to see who is in the way. */
const HOLDERS_SHOWN = 20;

/** Its place in line. None for the moment between its promotion and its admission. */
function waitingOf(task: Task, slot: Slot | undefined): Pick<TaskSummary, 'waiting'> {
  if (task.status !== 'QUEUED' || !slot) return {};
  const lease = leaseOf(task.taskId, task.attempt);
  const line = waitersInOrder(slot);
  const waiter = slot.waiters[lease];
  if (!waiter) return {};
  const holders = Object.entries(slot.holders)
    .slice(0, HOLDERS_SHOWN)
    .map(([held, { since }]) => ({ taskId: parseLease(held).taskId, since }));
  return {
    waiting: { since: waiter.since, position: line.indexOf(lease) + 1, of: line.length, limit: slot.limit, holders },
  };
}

function savedWorkOf(task: Task, record: RunRecord | undefined): Pick<TaskSummary, 'savedWork'> {
  const savedWork = record?.savedWork ?? task.savedWork;
  return savedWork ? { savedWork } : {};
}

function runViewOf(task: Task, record: RunRecord | undefined, runDir: string): TaskSummary['run'] {
  const run = runOf(task);
  if (!run) return undefined;
  const nativeId = record?.claim?.nativeId ?? (run.handle && nativeIdOf(run.handle));
  const pid = supervisorRecord.safeParse(readWhole(`${runDir}/${RUN_FILES.supervisor}`)).data?.childPid;
  return {
    attempt: run.attempt,
    startedBy: run.startedBy,
    ...(run.definition === undefined ? {} : { definition: run.definition }),
    ...(nativeId === undefined ? {} : { nativeId }),
    ...(pid === undefined ? {} : { pid }),
    ...(record?.claim ? { claimedAt: record.claim.at } : {}),
    ...(run.ended ? { ended: run.ended } : {}),
  };
}

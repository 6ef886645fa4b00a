import { readWhole } from '../../agent/supervisor-files.ts';
import { isSettled, runOf } from '../../lifecycle/states.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import { nativeIdOf } from '../../schemas/run-handle.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { supervisorRecord } from '../../schemas/supervised-run.ts';
import type { Task } from '../../schemas/task.ts';
import type { TaskSummary, TaskView } from '../../schemas/task-view.ts';
import type { TaskJournal } from '../engine/journal.ts';

/** What a view is made of besides the task. */
export interface Beside {
  readonly record: RunRecord | undefined;
  readonly journal: TaskJournal;
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
export function summaryOf(task: Task, { record, journal, runDir }: Beside): TaskSummary {
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
    compute,
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
    ...(run ? { run } : {}),
    ...(record?.progress ? { progress: record.progress } : {}),
    duplicates: journal.duplicates,
    ignored: [...journal.ignored],
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
    ...(nativeId === undefined ? {} : { nativeId }),
    ...(pid === undefined ? {} : { pid }),
    ...(record?.claim ? { claimedAt: record.claim.at } : {}),
    ...(run.ended ? { ended: run.ended } : {}),
  };
}

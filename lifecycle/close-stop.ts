import type { Fact } from '../events/define.ts';
import { runLost } from '../events/run-lost.ts';
import { taskCancelled } from '../events/task-cancelled.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskTimedOut } from '../events/task-timed-out.ts';
import { because, type Reason } from '../schemas/reason.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { Task, TaskIn } from '../schemas/task.ts';
import { hasAnotherAttempt, OUTSIDE, orphanFact } from './judge.ts';
import { type DetectedBy, ignore, type Move, step } from './move.ts';
import { states } from './states.ts';
import { nextAttemptAt, type Timings } from './timings.ts';

/** STOPPING ends when its run has ended: where to is decided by the intent, the stored report and the attempts left. */
export function closeStop(
  task: Task,
  record: RunRecord | undefined,
  at: string,
  timings: Timings,
  detectedBy: DetectedBy,
): Move {
  if (task.status !== 'STOPPING') return ignore(states[task.status].terminal ? 'task_has_ended' : 'nothing_to_close');
  const { run } = task;
  if (!run.ended) return ignore('run_has_not_ended');
  const report = record?.attempt === task.attempt ? record.report : undefined;
  const result = report ? { result: report.result } : {};
  const saved = savedWorkIn(task, record);
  const left = saved ? { savedWork: saved } : {};
  const orphaned = run.ended.proof === 'given_up' ? [orphanFact(task, run, record)] : [];
  switch (task.intent) {
    case 'cancelled':
      return step('cancel', { run, reason: task.reason, ...result, ...left, detectedBy }, [
        ...orphaned,
        taskCancelled.of({ reason: task.reason, ...result }),
      ]);
    case 'timed_out':
      return step('expire', { run, reason: task.reason, ...result, ...left, detectedBy }, [
        ...orphaned,
        taskTimedOut.of({ reason: task.reason, ...result }),
      ]);
    case 'lost':
    case 'paused':
      break;
  }
  if (report?.outcome === 'succeeded') {
    return step('complete', { run, result: report.result, detectedBy }, [
      ...orphaned,
      taskCompleted.of({ result: report.result }),
    ]);
  }
  // A pause was decided with its time; the report that led to it is the same.
  if (task.intent === 'paused') return backOff(task, record, orphaned, at, timings);
  // A limit that was met while the run was stopped anyway is no failure of the agent either.
  const isAgents = report !== undefined && !OUTSIDE.has(report.reason?.code ?? '');
  if (isAgents && report.retryAfterSeconds === undefined && !task.retryAgentFailure) {
    return fail(report.reason ?? because('agent_failed', 'The report gives no reason.'));
  }
  return hasAnotherAttempt(task) ? backOff(task, record, orphaned, at, timings) : fail(task.reason);

  function fail(reason: Reason): Move {
    return step('fail', { run, reason, ...result, ...left, detectedBy }, [
      ...orphaned,
      taskFailed.of({ reason, ...result }),
    ]);
  }
}

/** What the run could push before it ended, else what an earlier one did. */
function savedWorkIn(task: Task, record: RunRecord | undefined) {
  const own = record?.attempt === task.attempt ? record : undefined;
  return own?.savedWork ?? own?.report?.savedWork ?? task.savedWork;
}

function backOff(
  task: TaskIn<'STOPPING'>,
  record: RunRecord | undefined,
  orphaned: readonly Fact[],
  at: string,
  timings: Timings,
): Move {
  const savedWork = savedWorkIn(task, record);
  const paused = task.intent === 'paused';
  const { reason, resumeAt } = task;
  const pauses = (task.pauses ?? 0) + (paused ? 1 : 0);
  const bring = {
    reason,
    ...(savedWork ? { savedWork } : {}),
    ...(resumeAt === undefined ? {} : { resumeAt }),
    ...(paused ? { pauses } : {}),
  };
  const fact = runLost.of({
    reason,
    nextAttemptAt: nextAttemptAt({ ...task, pauses }, at, timings),
    ...(paused ? { paused } : {}),
    savedWork: savedWork ?? null,
  });
  return step('backOff', bring, [...orphaned, fact]);
}

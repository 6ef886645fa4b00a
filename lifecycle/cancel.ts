import { taskCancelled } from '../events/task-cancelled.ts';
import { taskTimedOut } from '../events/task-timed-out.ts';
import { because, type Reason } from '../schemas/reason.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { Task } from '../schemas/task.ts';
import { judgeReport, stopping } from './judge.ts';
import { type DetectedBy, ignore, type Move, step } from './move.ts';

/** What a cancel means in every state: at once without a run, by way of STOPPING with one. */
export function cancelTask(task: Task, reason: Reason): Move {
  return end(task, 'cancelled', reason, 'request');
}

/** What the passing of the deadline means: a report that is stored already wins over it. */
export function expireTask(task: Task, record: RunRecord | undefined, at: string): Move {
  if (record?.report && (task.status === 'STARTING' || task.status === 'RUNNING' || task.status === 'FINALIZING')) {
    const judged = judgeReport(task, record, at, 'alarm');
    // A report that asks for more time has none left.
    if (judged.kind !== 'step' || judged.name !== 'stop') return judged;
  }
  return end(task, 'timed_out', because('timed_out', lateWords(task)), 'alarm');
}

/** A task that waited to the end for its context, or for where to run, says why it could not be had. */
function lateWords({ deadlineAt, delay, status }: Task): string {
  const late = `The task was not done by ${deadlineAt}.`;
  if (!delay) return late;
  return `${late} ${status === 'HYDRATED' ? 'Its start was put off' : 'Its context could not be fetched'}: ${delay.message}`;
}

function end(task: Task, intent: 'cancelled' | 'timed_out', reason: Reason, detectedBy: DetectedBy): Move {
  switch (task.status) {
    case 'SUBMITTED':
    case 'QUEUED':
    case 'ADMITTED':
    case 'HYDRATED':
    case 'BACKOFF':
      return intent === 'cancelled'
        ? step('cancel', { reason, detectedBy }, [taskCancelled.of({ reason })])
        : step('expire', { reason, detectedBy }, [taskTimedOut.of({ reason })]);
    case 'STARTING':
    case 'RUNNING':
    case 'FINALIZING':
      return stopping(task, task.run, intent, reason);
    case 'STOPPING':
      return outweighs(intent, task.intent) ? step('redirect', { intent, reason }, []) : ignore('is_stopping_already');
    case 'COMPLETED':
    case 'FAILED':
    case 'CANCELLED':
    case 'TIMED_OUT':
      return ignore('task_has_ended');
  }
}

/** A wish of a person outweighs the clock, and both outweigh a loss. */
const weights = { paused: 0, lost: 0, timed_out: 1, cancelled: 2 } as const;
const outweighs = (next: keyof typeof weights, now: keyof typeof weights): boolean => weights[next] > weights[now];

import { contextFetched } from '../events/context-fetched.ts';
import { notificationDue } from '../events/notification-due.ts';
import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runLost } from '../events/run-lost.ts';
import { runOrphaned } from '../events/run-orphaned.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { screeningBlocked } from '../events/screening-blocked.ts';
import { slotGranted } from '../events/slot-granted.ts';
import { taskAdmitted } from '../events/task-admitted.ts';
import { taskCancelled } from '../events/task-cancelled.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { taskQueued } from '../events/task-queued.ts';
import { taskScreened } from '../events/task-screened.ts';
import { taskSettled } from '../events/task-settled.ts';
import { taskSubmitted } from '../events/task-submitted.ts';
import { taskTimedOut } from '../events/task-timed-out.ts';
import { defineRule } from './rule.ts';

export const settleTask = defineRule({
  name: 'settle-task',
  summary: 'Settles an ended task: fact delivered, compute ended, slot returned, payload deleted.',
  on: [taskCompleted, taskFailed, taskCancelled, taskTimedOut, runEnded],
  where: {
    data: { status: [{ exists: false }, { 'anything-but': 'STOPPING' }] },
  },
  // Besides its own facts it says again, once, what of the history has no proof.
  emits: [
    taskSubmitted,
    taskScreened,
    screeningBlocked,
    taskQueued,
    taskAdmitted,
    contextFetched,
    taskHydrated,
    runStarted,
    runExited,
    runStopRequested,
    runEnded,
    runOrphaned,
    runLost,
    slotGranted,
    taskCompleted,
    taskFailed,
    taskCancelled,
    taskTimedOut,
    notificationDue,
    taskSettled,
  ],
  uses: ['tasks', 'slots', 'runs', 'payloads'],
  kind: 'state',
});

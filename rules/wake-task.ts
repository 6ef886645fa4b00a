import { alarmRang } from '../events/alarm-rang.ts';
import { attemptDue } from '../events/attempt-due.ts';
import { contextFetched } from '../events/context-fetched.ts';
import { runCheckRequested } from '../events/run-check-requested.ts';
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
import { taskSubmitted } from '../events/task-submitted.ts';
import { taskTimedOut } from '../events/task-timed-out.ts';
import { defineRule } from './rule.ts';

export const wakeTask = defineRule({
  name: 'wake-task',
  summary: 'Does what is due: says again what has no proof, has the run checked, ends what time ends.',
  on: [alarmRang],
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
    runCheckRequested,
    runOrphaned,
    runLost,
    attemptDue,
    slotGranted,
    taskCompleted,
    taskFailed,
    taskCancelled,
    taskTimedOut,
  ],
  uses: ['tasks', 'slots'],
  kind: 'state',
  delivery: 'queue',
});

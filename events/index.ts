import { alarmRang } from './alarm-rang.ts';
import { attemptDue } from './attempt-due.ts';
import { contextFetched } from './context-fetched.ts';
import type { EventDefinition } from './define.ts';
import { idempotencyKeyReused } from './idempotency-key-reused.ts';
import { notificationDue } from './notification-due.ts';
import { notificationRefused } from './notification-refused.ts';
import { repositoryConfigRefused } from './repository-config-refused.ts';
import { repositoryConfigRequested } from './repository-config-requested.ts';
import { repositoryConfigured } from './repository-configured.ts';
import { runCheckRequested } from './run-check-requested.ts';
import { runClaimed } from './run-claimed.ts';
import { runEnded } from './run-ended.ts';
import { runExited } from './run-exited.ts';
import { runFenced } from './run-fenced.ts';
import { runLost } from './run-lost.ts';
import { runOrphaned } from './run-orphaned.ts';
import { runProgressed } from './run-progressed.ts';
import { runReported } from './run-reported.ts';
import { runStarted } from './run-started.ts';
import { runStopAnswered } from './run-stop-answered.ts';
import { runStopRequested } from './run-stop-requested.ts';
import { screeningBlocked } from './screening-blocked.ts';
import { slotGranted } from './slot-granted.ts';
import { taskAdmitted } from './task-admitted.ts';
import { taskCancelRequested } from './task-cancel-requested.ts';
import { taskCancelled } from './task-cancelled.ts';
import { taskCompleted } from './task-completed.ts';
import { taskFailed } from './task-failed.ts';
import { taskHydrated } from './task-hydrated.ts';
import { taskQueued } from './task-queued.ts';
import { taskRejected } from './task-rejected.ts';
import { taskRequested } from './task-requested.ts';
import { taskScreened } from './task-screened.ts';
import { taskSettled } from './task-settled.ts';
import { taskSubmitted } from './task-submitted.ts';
import { taskTimedOut } from './task-timed-out.ts';
import { workerBootFailed } from './worker-boot-failed.ts';
import { workerQuarantined } from './worker-quarantined.ts';
import { workerRegistered } from './worker-registered.ts';

/** Every event that Baton itself defines, in the order of a task's life. */
export const events = [
  taskRequested,
  taskCancelRequested,
  repositoryConfigRequested,
  runClaimed,
  runProgressed,
  runReported,
  runFenced,
  taskSubmitted,
  taskRejected,
  idempotencyKeyReused,
  taskScreened,
  screeningBlocked,
  taskQueued,
  slotGranted,
  taskAdmitted,
  contextFetched,
  taskHydrated,
  runStarted,
  runExited,
  runStopRequested,
  runStopAnswered,
  runCheckRequested,
  runEnded,
  runLost,
  runOrphaned,
  attemptDue,
  taskCompleted,
  taskFailed,
  taskCancelled,
  taskTimedOut,
  taskSettled,
  notificationDue,
  notificationRefused,
  repositoryConfigured,
  repositoryConfigRefused,
  workerRegistered,
  workerBootFailed,
  workerQuarantined,
  alarmRang,
] as const satisfies readonly EventDefinition[];

export type EventType = (typeof events)[number]['type'];

const byType = new Map<string, (typeof events)[number]>(events.map((event) => [event.type, event]));

/** The definition of a detail-type, if it is ours. */
export const eventOf = (type: string): (typeof events)[number] | undefined => byType.get(type);

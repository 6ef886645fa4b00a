import type { Status } from '../schemas/task.ts';

interface Transition {
  readonly from: readonly Status[];
  readonly to: Status;
  /** Detail-types of the facts that the transition may store; the last driving one is published last. */
  readonly emits: readonly string[];
  /** One sentence for the docs. */
  readonly summary: string;
}

const beforeCompute = ['SUBMITTED', 'QUEUED', 'ADMITTED', 'HYDRATED', 'BACKOFF'] as const;
const withCompute = ['STARTING', 'RUNNING', 'FINALIZING'] as const;

/** The whole life cycle as data. `null → SUBMITTED` is `accept`; every other change of a status is a row here. */
export const transitions = {
  accept: { from: [], to: 'SUBMITTED', emits: ['TaskSubmitted'], summary: 'A request becomes a task.' },
  screenRequest: {
    from: ['SUBMITTED'],
    to: 'SUBMITTED',
    emits: ['TaskScreened'],
    summary: 'The request passed screening.',
  },
  queue: {
    from: ['SUBMITTED', 'BACKOFF'],
    to: 'QUEUED',
    emits: ['TaskQueued'],
    summary: 'No slot is free; the task waits in line.',
  },
  admit: {
    from: ['SUBMITTED', 'QUEUED', 'BACKOFF'],
    to: 'ADMITTED',
    emits: ['TaskAdmitted'],
    summary: 'The task got a slot.',
  },
  fetchContext: {
    from: ['ADMITTED'],
    to: 'ADMITTED',
    emits: ['ContextFetched'],
    summary: 'The text of the issue or pull request that the task names is stored.',
  },
  screenContext: {
    from: ['ADMITTED'],
    to: 'ADMITTED',
    emits: ['TaskScreened'],
    summary: 'The text that was fetched passed screening.',
  },
  hydrate: { from: ['ADMITTED'], to: 'HYDRATED', emits: ['TaskHydrated'], summary: 'The input of the run is stored.' },
  start: {
    from: ['HYDRATED'],
    to: 'STARTING',
    emits: [],
    summary: 'The run is handed to its back end.',
  },
  run: { from: ['STARTING'], to: 'RUNNING', emits: ['RunStarted'], summary: 'The run gave its first sign of life.' },
  finalize: {
    from: ['STARTING', 'RUNNING'],
    to: 'FINALIZING',
    emits: ['RunExited'],
    summary: 'The run exited with 0 before its report was seen.',
  },
  complete: {
    from: [...withCompute, 'STOPPING'],
    to: 'COMPLETED',
    emits: ['RunOrphaned', 'TaskCompleted'],
    summary: 'A report of success is stored.',
  },
  fail: {
    from: [...beforeCompute, ...withCompute, 'STOPPING'],
    to: 'FAILED',
    emits: ['RunOrphaned', 'ScreeningBlocked', 'TaskFailed'],
    summary: 'The task cannot succeed any more.',
  },
  stop: {
    from: withCompute,
    to: 'STOPPING',
    emits: ['RunStopRequested', 'RunEnded'],
    summary: 'The run must end: cancelled, out of time, lost, or paused.',
  },
  redirect: {
    from: ['STOPPING'],
    to: 'STOPPING',
    emits: [],
    summary: 'The reason to stop changed: a cancel or the time-out outweighs a loss.',
  },
  cancel: {
    from: [...beforeCompute, 'STOPPING'],
    to: 'CANCELLED',
    emits: ['RunOrphaned', 'TaskCancelled'],
    summary: 'Cancelled, and no run is left.',
  },
  expire: {
    from: [...beforeCompute, 'STOPPING'],
    to: 'TIMED_OUT',
    emits: ['RunOrphaned', 'TaskTimedOut'],
    summary: 'Out of time, and no run is left.',
  },
  backOff: {
    from: ['STOPPING'],
    to: 'BACKOFF',
    emits: ['RunOrphaned', 'RunLost'],
    summary: 'The lost or paused run has ended; another attempt is allowed.',
  },
} as const satisfies Record<string, Transition>;

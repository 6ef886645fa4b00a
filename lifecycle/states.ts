import type { DuePurpose, Status, Task, TaskWithRun, TerminalTask } from '../schemas/task.ts';

interface State {
  /** One sentence for the docs. */
  readonly summary: string;
  readonly terminal: boolean;
  /** A run may exist. */
  readonly computes: boolean;
  /** What is due while the state lasts; every state has something. */
  readonly due: readonly DuePurpose[];
}

/** The states as data. No state is without a due date, so nothing can wait for ever. */
export const states = {
  SUBMITTED: { summary: 'Accepted; a slot is asked for.', terminal: false, computes: false, due: ['step', 'deadline'] },
  QUEUED: { summary: 'Waits in line for a slot.', terminal: false, computes: false, due: ['queue', 'deadline'] },
  ADMITTED: {
    summary: 'Holds a slot; the input is prepared.',
    terminal: false,
    computes: false,
    due: ['step', 'deadline'],
  },
  HYDRATED: {
    summary: 'The input is stored; the run is about to start.',
    terminal: false,
    computes: false,
    due: ['step', 'deadline'],
  },
  STARTING: {
    summary: 'The run was handed to its back end; no sign of life yet.',
    terminal: false,
    computes: true,
    due: ['start', 'life', 'deadline'],
  },
  RUNNING: { summary: 'The agent works.', terminal: false, computes: true, due: ['progress', 'life', 'deadline'] },
  FINALIZING: {
    summary: 'The run exited well; its report is awaited.',
    terminal: false,
    computes: true,
    due: ['report', 'deadline'],
  },
  STOPPING: {
    summary: 'The run must end; its end is awaited.',
    terminal: false,
    computes: true,
    due: ['stop', 'proof', 'deadline'],
  },
  BACKOFF: {
    summary: 'The run was lost or paused and the slot returned; the next attempt comes later.',
    terminal: false,
    computes: false,
    due: ['backoff', 'deadline'],
  },
  COMPLETED: {
    summary: 'The work is done and reported.',
    terminal: true,
    computes: false,
    due: ['exit', 'proof', 'settle'],
  },
  FAILED: { summary: 'Ended without success.', terminal: true, computes: false, due: ['exit', 'proof', 'settle'] },
  CANCELLED: { summary: 'Ended on request.', terminal: true, computes: false, due: ['exit', 'proof', 'settle'] },
  TIMED_OUT: { summary: 'Ended by its time-out.', terminal: true, computes: false, due: ['exit', 'proof', 'settle'] },
} as const satisfies Record<Status, State>;

export const isTerminal = (task: Task): task is TerminalTask => states[task.status].terminal;

/** A run may be alive: starting, running, exiting or stopping. */
export const hasRun = (task: Task): task is TaskWithRun => states[task.status].computes;

/** Terminal, and nothing left to do. */
export const isSettled = (task: Task): boolean => isTerminal(task) && task.settledAt !== undefined;

/** The run of the task's current attempt, in whatever state the task is. */
export const runOf = (task: Task): TaskWithRun['run'] | undefined => ('run' in task ? task.run : undefined);

/** When the task came into its state: the last step that led there from another one. */
export function sinceOf({
  history,
}: {
  readonly history: readonly Pick<Task['history'][number], 'from' | 'to' | 'at'>[];
}): {
  since?: string;
} {
  const came = history.findLast(({ from, to }) => from !== to);
  return came ? { since: came.at } : {};
}

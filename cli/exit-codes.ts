import type { Status } from '../schemas/task.ts';

/** How the command line ends. `docs` and `--help` name the same numbers. */
export const CLI_EXIT = {
  completed: 0,
  failed: 1,
  badInput: 2,
  cancelled: 3,
  timedOut: 4,
  /** A defect of the command line itself (sysexits.h: EX_SOFTWARE). */
  internal: 70,
  /** Left by a second Ctrl-C before the task had ended (128 + SIGINT). */
  interrupted: 130,
  /** Left by SIGTERM or SIGHUP before the task had ended (128 + SIGTERM). */
  terminated: 143,
} as const;

/** The exit code that tells how a task ended; 0 for one that has not. */
export function exitCodeOf(status: Status): number {
  switch (status) {
    case 'FAILED':
      return CLI_EXIT.failed;
    case 'CANCELLED':
      return CLI_EXIT.cancelled;
    case 'TIMED_OUT':
      return CLI_EXIT.timedOut;
    default:
      return CLI_EXIT.completed;
  }
}

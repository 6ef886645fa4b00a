/**
 * How the runner ends, told by its exit code. Only a code without a stored report is judged by it: `unavailable` leaves the
 * report in `report.json`, `fenced` decides nothing, `stopped` comes after a stop that somebody asked for.
 */
export const RUNNER_EXIT = {
  /** The report says `succeeded` and is stored. */
  ok: 0,
  /** The agent failed, was not found, must wait, or lacks a variable or a secret; the report is stored. */
  agentFailed: 1,
  /** Clone, base branch or push failed; the report is stored. */
  repositoryFailed: 2,
  /** The payload is missing, malformed, or its run token is refused. */
  badPayload: 64,
  /** The control plane could not be reached for as long as the runner tries. */
  unavailable: 69,
  /** A defect of the runner itself. */
  internal: 70,
  /** Another run holds the attempt; this copy left without effect. */
  fenced: 79,
  /** Stopped by SIGTERM (128 + 15); saved work is pushed and said as far as time allowed. */
  stopped: 143,
} as const;

/** What `/bin/sh` answers for a command that does not exist (POSIX, 2.8.2). */
export const COMMAND_NOT_FOUND = 127;

/** What an agent exits with when a service asked it to wait: EX_TEMPFAIL of `sysexits.h`. */
export const AGENT_MUST_WAIT = 75;

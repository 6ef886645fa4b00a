import { TIMEOUT_MAX_S } from '../schemas/task-request.ts';

/** Every bound of the runner, with its unit and its reason. */

/** Waiting for the control plane before the work starts; longer than a restart of the embedded world, shorter than the start deadline. */
export const RUNNER_CLAIM_RETRY_S = 120;

/** Reading the secrets of the agent; what takes longer is left to the next attempt, which begins after a pause of its own. */
export const RUNNER_SECRET_RETRY_S = 60;

/** Waiting for the leave to push; an hour, since a finished run of an agent is dearer than an idle process. */
export const RUNNER_CONFIRM_RETRY_S = 3_600;

/** Storing the report; after that `report.json` speaks for the run, or its compute's exit decides. */
export const RUNNER_REPORT_RETRY_S = 120;

/** Leaving the agent's first word; nothing waits for it meanwhile, and without it a healthy run may be taken for stalled. */
export const RUNNER_FIRST_WORD_RETRY_S = 3_600;

/** Telling an event: a hint that nobody waits for. */
export const RUNNER_EVENT_RETRY_S = 10;

/** One try of a request; a loopback answer takes milliseconds, a synced one tens of them, one of AWS hundreds at the worst. */
export const TRY_TIMEOUT_MS = 10_000;

/** Connecting to a service of AWS, which takes milliseconds; after this the SDK tries another connection. */
export const AWS_CONNECT_TIMEOUT_MS = 2_000;

/** First pause between two tries; doubles up to the next bound. */
export const TRY_PAUSE_FIRST_MS = 100;

/** Longest pause between two tries: a control plane that came back is noticed in two seconds. */
export const TRY_PAUSE_MAX_MS = 2_000;

/** Seconds between SIGTERM and SIGKILL when nobody says otherwise: the default of ECS. */
export const STOP_TIMEOUT_S = 30;

/** Share of the stop time-out that the runner uses; the rest is for its own exit on a slow machine. */
export const STOP_BUDGET_SHARE = 0.8;

/** Share that the agent gets between SIGTERM and SIGKILL (7.5 s of 30); the rest is for commit, confirmation and push. */
export const AGENT_STOP_SHARE = 0.25;

/** Past the deadline the runner stops itself, as a last resort; the control plane's own time-out comes long before. */
export const RUNNER_DEADLINE_MARGIN_S = 300;

/** Longest delay that a timer of Node takes (2^31 - 1 ms, 24.8 days); later deadlines are left to the control plane. */
export const TIMER_MAX_MS = 2_147_483_647;

/** What reaches the kept log from one agent before the rest is left out; a person reads no more, a disk fills up sooner. */
export const AGENT_LOG_MAX_BYTES = 8 * 1_024 * 1_024;

/** The end of a truncated log that is kept all the same: the last words tell most. */
export const AGENT_LOG_TAIL_BYTES = 64 * 1_024;

/** A longer line is broken: bounds memory for output without line ends. */
export const LINE_MAX_BYTES = 16 * 1_024;

/** Shortest value that is masked in the output of the agent, in characters: `true`, `prod` and `5432` stand in every output. */
export const MASKED_MIN_CHARS = 6;

/** Between two progress events, so that a chatty agent is no load on the bus. */
export const PROGRESS_INTERVAL_MS = 1_000;

/** Text of a progress event, in bytes of UTF-8: what a fact may carry. */
export const PROGRESS_MAX_BYTES = 500;

/** A wait for a rate limit of which the agent does not say how long: as long as common limits count (per minute), five times over. */
export const RETRY_AFTER_DEFAULT_S = 300;

/** Longest wait that a report may ask for; longer than what is left of the task ends it. */
export const RETRY_AFTER_MAX_S = TIMEOUT_MAX_S;
/** Wait after a date that has passed already, in seconds: at once would use up the pauses of a task within seconds. */
export const RETRY_AFTER_PAST_S = 30;

/** What is read of the file in which the agent says how long: a date of HTTP has 29 characters. */
export const RETRY_AFTER_FILE_MAX_BYTES = 64;

/** Last lines of a failed agent that go into its reason. */
export const LAST_LINES = 3;

/** Output still under way when the agent is gone. */
export const OUTPUT_DRAIN_MS = 2_000;

/** Looking at a remote. */
export const GIT_LOOK_TIMEOUT_S = 120;

/** A clone of a very large repository over a slow line. */
export const GIT_CLONE_TIMEOUT_S = 3_600;

/** Any command that stays on this machine. */
export const GIT_LOCAL_TIMEOUT_S = 600;

/** A push of large files over a slow line. */
export const GIT_PUSH_TIMEOUT_S = 1_800;

/** Tries of a network clone or push; more is the business of the next attempt. */
export const GIT_NETWORK_TRIES = 3;

/** Pause before the next try of a network clone or push. */
export const GIT_RETRY_PAUSE_MS = 2_000;

/** Kept output of one git command, in characters: enough for its reasons. */
export const GIT_OUTPUT_MAX_CHARS = 256 * 1_024;

/** Between SIGTERM and SIGKILL for a git command that was given up. */
export const GIT_KILL_GRACE_MS = 2_000;

/** Every wait of the life cycle, in seconds. `due` dates are computed from these when a state is entered. */
export interface Timings {
  /** How long a driving fact may stay without effect before it is published again: longer than the function's three tries. */
  readonly STEP_RETRY_S: number;
  /** How often a queued task has its key checked for forgotten grants and stale leases. */
  readonly QUEUE_CHECK_S: number;
  /** How long a start may stay without a sign of life before the back end is asked, and how often it is asked again. */
  readonly START_CHECK_S: number;
  /** How long after its dispatch a run that the back end does not know counts as lost: describe is eventually consistent. */
  readonly START_MISSING_S: number;
  /** How long an exit 0 may wait for its report: reports and exits travel on different ways. */
  readonly REPORT_GRACE_S: number;
  /** How long a run may live on after its report before it is stopped. */
  readonly EXIT_GRACE_S: number;
  /** How long a run on a back end that tells of no end may live on after its report, its runner's last word: time to exit in order. */
  readonly LAST_WORD_GRACE_S: number;
  /** How often a stop is repeated until the end is seen. */
  readonly STOP_RETRY_S: number;
  /** How soon after a stop a back end that tells of no end is asked to stop again: only its answer tells that nothing is left. */
  readonly STOP_LOOK_S: number;
  /** How long the end of a stopped run is awaited before it is given up with an alarm. */
  readonly STOP_PROOF_S: number;
  /** How often a runner leaves a sign of life where its back end tells nothing: three of them fit into the silence that counts as death. */
  readonly HEARTBEAT_S: number;
  /** How often these signs are looked at. */
  readonly LIFE_LOOK_S: number;
  /**
   * Silence after which such a run counts as dead, from when its last sign was first seen. A sign is seen at most one look late, so death
   * is known 100 s after the last sign of life on AWS; the rest of 120 is for the alarm clock, which may be late.
   */
  readonly HEARTBEAT_SILENCE_S: number;
  /** How often the last fact of an unsettled task is published again. */
  readonly SETTLE_RETRY_S: number;
  /** Longest wait before the second attempt; doubles with each further one. */
  readonly BACKOFF_FIRST_S: number;
  /** Longest wait between two attempts. */
  readonly BACKOFF_MAX_S: number;
  /** Age of a commit from which its duplicate delivery counts as a retry: above any function time-out, below the first retry (60 s). */
  readonly REPUBLISH_AGE_S: number;
  /** Time-out of a task that asks for none. */
  readonly TIMEOUT_DEFAULT_S: number;
}

/** Signs of life that must fit into the silence that counts as death: one lost write, or two, are not death. */
const SIGNS_IN_A_SILENCE = 3;

/** Why these waits would have healthy runs taken for dead, in one sentence; undefined when they would not. */
export function contradictionIn({ HEARTBEAT_S, LIFE_LOOK_S, HEARTBEAT_SILENCE_S }: Timings): string | undefined {
  if (HEARTBEAT_SILENCE_S < SIGNS_IN_A_SILENCE * Math.max(HEARTBEAT_S, LIFE_LOOK_S)) {
    return `HEARTBEAT_SILENCE_S must be at least ${SIGNS_IN_A_SILENCE} times HEARTBEAT_S and LIFE_LOOK_S`;
  }
  return undefined;
}

/** For AWS: waits outlast Lambda's retries (about 3 minutes) and Fargate's start (30 to 45 s, image pull on top). */
export const awsTimings: Timings = {
  STEP_RETRY_S: 300,
  QUEUE_CHECK_S: 300,
  START_CHECK_S: 300,
  START_MISSING_S: 120,
  REPORT_GRACE_S: 90,
  EXIT_GRACE_S: 180,
  LAST_WORD_GRACE_S: 5,
  STOP_RETRY_S: 90,
  STOP_LOOK_S: 20,
  STOP_PROOF_S: 600,
  HEARTBEAT_S: 20,
  LIFE_LOOK_S: 25,
  HEARTBEAT_SILENCE_S: 75,
  SETTLE_RETRY_S: 300,
  BACKOFF_FIRST_S: 15,
  BACKOFF_MAX_S: 600,
  REPUBLISH_AGE_S: 55,
  TIMEOUT_DEFAULT_S: 4 * 3600,
};

/** For one machine: processes start in milliseconds and nothing is lost between them, so a person waits less. */
export const embeddedTimings: Timings = {
  STEP_RETRY_S: 20,
  QUEUE_CHECK_S: 30,
  START_CHECK_S: 20,
  START_MISSING_S: 10,
  REPORT_GRACE_S: 5,
  EXIT_GRACE_S: 60,
  LAST_WORD_GRACE_S: 1,
  STOP_RETRY_S: 15,
  STOP_LOOK_S: 1,
  STOP_PROOF_S: 120,
  HEARTBEAT_S: 4,
  LIFE_LOOK_S: 5,
  HEARTBEAT_SILENCE_S: 15,
  SETTLE_RETRY_S: 20,
  BACKOFF_FIRST_S: 2,
  BACKOFF_MAX_S: 60,
  REPUBLISH_AGE_S: 10,
  TIMEOUT_DEFAULT_S: 4 * 3600,
};

/** Attempts of a task that asks for none: the first and two more after lost runs. */
export const ATTEMPTS_DEFAULT = 3;

/** Attempts that were used up: those that a rate limit paused are not. */
export const attemptsUsed = ({ attempt, pauses = 0 }: { attempt: number; pauses?: number | undefined }): number =>
  attempt - pauses;

/**
 * When the attempt after this one is due: after the doubled wait, or, when a rate limit named a time, at that time and a share of the first
 * wait, which differs from task to task.
 */
export function nextAttemptAt(
  task: { taskId: string; attempt: number; pauses?: number | undefined; resumeAt?: string | undefined },
  at: string,
  timings: Timings,
): string {
  const { taskId, attempt, resumeAt } = task;
  if (resumeAt === undefined) return after(at, backoffSeconds(taskId, attemptsUsed(task) + 1, timings));
  const from = resumeAt > at ? resumeAt : at;
  return after(from, timings.BACKOFF_FIRST_S * shareOf(`${taskId}#${attempt + 1}`));
}

/** Longest time that somebody outside may ask a task to wait, in seconds: limits of rates are by the hour. */
const ASKED_FOR_MAX_S = 3_600;

/**
 * When a task asks again for what it waits for outside: at the time that was named (`notBefore`) and a share of the first wait, which
 * differs from task to task; or after about as long as it has waited already, within the bounds of the waits between attempts.
 */
export function askedAgainAt(
  { taskId, since, notBefore }: { taskId: string; since: string; notBefore?: string | undefined },
  at: string,
  timings: Timings,
): string {
  const share = shareOf(`${taskId}#${at}`);
  const { BACKOFF_FIRST_S: first, BACKOFF_MAX_S: most } = timings;
  if (notBefore !== undefined && notBefore > at) {
    const latest = after(at, ASKED_FOR_MAX_S);
    return after(notBefore < latest ? notBefore : latest, first * share);
  }
  const waited = (Date.parse(at) - Date.parse(since)) / 1000;
  return after(at, (Math.min(most, Math.max(first, waited)) * (1 + share)) / 2);
}

const after = (at: string, seconds: number): string => new Date(Date.parse(at) + seconds * 1000).toISOString();

/**
 * Wait before `attempt` (2 or more) in seconds: between half of the doubled wait and all of it. Which share a task gets follows from its
 * id, so that a hundred tasks that lost their runs together do not come back together, and every reader computes the same.
 */
export const backoffSeconds = (taskId: string, attempt: number, timings: Timings): number => {
  const longest = Math.min(timings.BACKOFF_MAX_S, timings.BACKOFF_FIRST_S * 2 ** (attempt - 2));
  return (longest * (1 + shareOf(`${taskId}#${attempt}`))) / 2;
};

/** A number from 0 to 1 that a text always has (FNV-1a, 32 bits). */
function shareOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 0) / 0xffffffff;
}

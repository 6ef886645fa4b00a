/** Keys of the one table; `docs/records.md` says what stands under each. */
export const taskKey = (taskId: string): string => `TASK#${taskId}`;
export { runKey } from '../schemas/record-keys.ts';
export const slotKey = (key: string): string => `SLOT#${key}`;
/** One worker of any fleet: an event of AWS names the machine and no fleet. */
export const workerKey = (worker: string): string => `WORKER#${worker}`;
export const fleetKey = (fleet: string): string => `FLEET#${fleet}`;
/** All configurations of repositories are one record. */
export const REPOSITORIES_KEY = 'REPOSITORIES';
/** Which task definitions belong to a user under a configuration, in whose name there is no `#`. */
export const userDefinitionKey = (whose: { readonly userId: string; readonly configuration: string }): string =>
  `TASKDEF#${whose.userId}#${whose.configuration}`;
export const payloadKey = (ref: string): string => `PAYLOAD#${ref}`;
/** What an effect rule has done outside for one fact. */
export const effectKey = (rule: string, factId: string): string => `EFFECT#${rule}#${factId}`;
export const shadowKey = (taskId: string): string => `SHADOW#${taskId}`;
export const ARCHIVE_PREFIX = 'ARCHIVE#';
export const archiveKey = (name: string): string => ARCHIVE_PREFIX + name;
export const REPLAY_PREFIX = 'REPLAY#';
export const replayKey = (name: string): string => REPLAY_PREFIX + name;
export const journalKey = (taskId: string): string => `JOURNAL#${taskId}`;

/**
 * How often a conditional write is decided again when another came between. Each failure means that somebody else's write went
 * through, so a task needs two or three; a busy slot key as many as there are simultaneous writers.
 */
export const DECIDE_TRIES = 32;

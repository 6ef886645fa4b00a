import * as z from 'zod';
import { agentReport } from './agent-report.ts';
import { compute } from './compute.ts';
import { instant, TEXT_MAX_CHARS } from './json.ts';
import { repositoryView } from './repository-config.ts';
import { status } from './task.ts';
import { savedWork } from './task-result.ts';

/** Every path of the JSON API begins with this; a new version gets a new one. */
export const API_PREFIX = '/baton/v1';

/** How every refusal looks: a code of the registry, what happened where, and what to do. */
export const apiError = z.object({ error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }) });

/** `GET /world`: who answers here. */
export const worldView = z.object({
  version: z.string(),
  pid: z.int(),
  url: z.string(),
  dataDir: z.string(),
  startedAt: instant,
  unsettled: z.int().min(0),
  /** Unsettled tasks by status; a status without tasks is left out. */
  tasks: z.partialRecord(status, z.int().min(0)),
  /** Deliveries that were given up and are kept; `GET /dead-letters` shows them. */
  deadLetters: z.int().min(0),
  /** Whether the texts of tasks are screened before compute starts, and by what. */
  screening: z.enum(['off', 'stand-in', 'required']).optional(),
  /** The back ends that its tasks may run on. The first is that of tasks that name none, as their repositories do not either. */
  computes: z.array(compute).min(1).optional(),
});
export type WorldView = z.infer<typeof worldView>;

/** Why a delivery was given up, and what to do. Codes of AWS's own stand beside those of the registry. */
const deadLetterCause = z.object({ code: z.string(), message: z.string(), remedy: z.string() });

/** `GET /dead-letters`: a delivery that was given up. Prompts and payload references are left out. */
export const deadLetterView = z.object({
  /** Stays the same for as long as the letter is kept; on AWS one that fails again after a redrive is another message, with another id. */
  id: z.string(),
  event: z.looseObject({ id: z.string(), 'detail-type': z.string() }),
  rule: z.string(),
  /** The task that the event speaks of. */
  taskId: z.string().optional(),
  /** Deliveries so far, where they were counted. */
  tries: z.int().min(1).optional(),
  /** When it was given up last. */
  at: instant,
  error: deadLetterCause,
});
export type DeadLetterView = z.infer<typeof deadLetterView>;

/** Dead letters that are redriven by one request, at most. */
export const REDRIVEN_AT_ONCE_MAX = 100;

/** `POST /dead-letters/redrive`: which; the oldest ones where they are too many for one request. */
export const redriveRequest = z.union([
  z.strictObject({ ids: z.array(z.string().min(1)).min(1).max(REDRIVEN_AT_ONCE_MAX) }),
  z.strictObject({ rule: z.string().min(1) }),
  z.strictObject({ all: z.literal(true) }),
]);

/**
 * What became of a redriven letter. `handled`: it is gone. `failed`: it failed again, and is kept. `under_way`: its delivery takes longer than
 * the answer may. `sent`: it is with its rule's queue or function again, and gone from the dead letters (AWS). The others were not touched.
 */
export const redriven = z.object({
  id: z.string(),
  rule: z.string().optional(),
  outcome: z.enum(['handled', 'failed', 'under_way', 'sent', 'unknown_letter', 'unknown_rule', 'not_an_event']),
  /** Of one that failed. */
  error: deadLetterCause.optional(),
});
export type Redriven = z.infer<typeof redriven>;

/** `world.json` in the data directory: where the running world is found. */
export const worldFile = z.object({
  pid: z.int(),
  url: z.url(),
  startedAt: instant,
  version: z.string(),
  /** Opens the bucket of payloads at the AWS endpoint of this world. */
  accessKeyId: z.string().optional(),
});
export type WorldFile = z.infer<typeof worldFile>;

/** Headers of a piece of log: the run has ended and this is its last piece; whose log it is; where the next piece begins. */
export const LOG_HEADERS = {
  end: 'x-baton-log-end',
  attempt: 'x-baton-log-attempt',
  next: 'x-baton-log-next',
} as const;

/** `POST /tasks/<id>/cancel` */
export const cancelRequest = z.strictObject({ reason: z.string().min(1).max(TEXT_MAX_CHARS).optional() });

/** `PUT` and `DELETE /repositories/<name>`: what holds under the name now; null: nothing. */
export const configuredView = z.object({
  name: z.string(),
  entry: repositoryView.nullable(),
  /** A later request, of somebody else, was stored first; it is what holds. */
  superseded: z.literal(true).optional(),
});
export type ConfiguredView = z.infer<typeof configuredView>;

const nativeId = z.string().min(1).max(512);
/** What the runner of an attempt posts below `/runs/<taskId>/<attempt>/`. */
export const runRequests = {
  /** `claimId` is the same in every repetition of one call, and in no other call. */
  claim: z.strictObject({ nativeId, claimId: z.uuid().optional() }),
  confirm: z.strictObject({ nativeId }),
  heartbeat: z.strictObject({ nativeId }),
  'first-word': z.strictObject({ nativeId }),
  report: z.strictObject({ nativeId, report: agentReport }),
  'saved-work': z.strictObject({ nativeId, savedWork }),
  events: z.strictObject({
    nativeId,
    seq: z.int().min(0),
    type: z.enum(['RunClaimed', 'RunProgressed', 'RunReported', 'RunFenced']),
    data: z.record(z.string(), z.unknown()),
  }),
} as const;

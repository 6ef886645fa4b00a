import * as z from 'zod';
import { agentReport } from './agent-report.ts';
import { instant, TEXT_MAX_CHARS } from './json.ts';
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
});
export type WorldView = z.infer<typeof worldView>;

/** `GET /dead-letters`: a delivery that was given up. Prompts and payload references are left out. */
export const deadLetterView = z.object({
  event: z.looseObject({ id: z.string(), 'detail-type': z.string() }),
  rule: z.string(),
  tries: z.int().min(1),
  at: instant,
  error: z.object({ code: z.string(), message: z.string() }),
});
export type DeadLetterView = z.infer<typeof deadLetterView>;

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

const nativeId = z.string().min(1).max(512);
/** What the runner of an attempt posts below `/runs/<taskId>/<attempt>/`. */
export const runRequests = {
  claim: z.strictObject({ nativeId }),
  confirm: z.strictObject({ nativeId }),
  heartbeat: z.strictObject({ nativeId }),
  report: z.strictObject({ nativeId, report: agentReport }),
  'saved-work': z.strictObject({ nativeId, savedWork }),
  events: z.strictObject({
    nativeId,
    seq: z.int().min(0),
    type: z.enum(['RunClaimed', 'RunProgressed', 'RunReported']),
    data: z.record(z.string(), z.unknown()),
  }),
} as const;

import * as z from 'zod';
import { instant } from './json.ts';
import { reason } from './reason.ts';
import { status } from './task.ts';
import { savedWork, taskResult } from './task-result.ts';

/** Version of the body's shape; inside a version fields are only added. */
export const WEBHOOK_BODY_VERSION = 1;

/** Header with the id of the fact, the same for every delivery of one notification: who gets two acts on one. */
export const WEBHOOK_ID_HEADER = 'webhook-id';

/** What a webhook is sent: how a task ended. */
export const webhookBody = z.object({
  version: z.literal(WEBHOOK_BODY_VERSION),
  taskId: z.string(),
  status,
  /** Why it did not succeed, and what a person may do next. */
  reason: reason.extend({ remedy: z.string() }).optional(),
  /** What the runs left behind. */
  result: taskResult.optional(),
  /** Unfinished work that a run pushed before it failed or was stopped. */
  savedWork: savedWork.optional(),
  repository: z.string(),
  userId: z.string(),
  labels: z.record(z.string(), z.string()).optional(),
  /** The attempt that ended it. */
  attempt: z.int().min(1),
  submittedAt: instant,
  endedAt: instant,
});
export type WebhookBody = z.infer<typeof webhookBody>;

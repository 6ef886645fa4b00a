import * as z from 'zod';
import { instant } from './json.ts';
import { reason } from './reason.ts';
import { TIMEOUT_MAX_S } from './task-request.ts';
import { savedWork, taskResult } from './task-result.ts';

/** What a run achieved, said by its runner: stored once per attempt, judged by whoever ends the task. */
export const agentReport = z.object({
  schemaVersion: z.literal(1),
  outcome: z.enum(['succeeded', 'failed']),
  /** Present when failed. */
  reason: reason.optional(),
  result: taskResult,
  /** Work of a failed agent, pushed for whoever continues. */
  savedWork: savedWork.optional(),
  /**
   * Only when failed: a service asked the agent to wait so many seconds; the task pauses and goes on from saved work. A reader that does
   * not know the field takes the report for a failure.
   */
  retryAfterSeconds: z.int().min(1).max(TIMEOUT_MAX_S).optional(),
  /** null: the agent never ran, or a signal ended it. */
  agentExitCode: z.int().nullable(),
  startedAt: instant,
  endedAt: instant,
});
export type AgentReport = z.infer<typeof agentReport>;

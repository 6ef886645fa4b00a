import * as z from 'zod';
import { agentReport } from './agent-report.ts';
import { instant, TEXT_MAX_CHARS } from './json.ts';
import { runHandle } from './run-handle.ts';
import { savedWork } from './task-result.ts';

/** The record of one attempt: the only one that a runner may write, with its run token. */
export const runRecord = z.object({
  taskId: z.string(),
  attempt: z.int().min(1),
  /** SHA-256 of the run token, hexadecimal. */
  tokenHash: z.string(),
  openedAt: instant,
  /** `claimId` is that of the call that made it: asked again, because its answer was lost, that call is told that it has claimed. */
  claim: z.object({ nativeId: z.string(), at: instant, claimId: z.string().optional() }).optional(),
  heartbeatAt: instant.optional(),
  /** Last time that the claimant asked, just before a push, whether it still counts. */
  confirmedAt: instant.optional(),
  progress: z.object({ seq: z.int(), at: instant, text: z.string().max(TEXT_MAX_CHARS) }).optional(),
  /** When the agent itself, not its runner, first said something. */
  firstOutputAt: instant.optional(),
  report: agentReport.optional(),
  savedWork: savedWork.optional(),
  /** A handle that arrived when the task had moved on; the run was stopped at once. */
  strayHandle: runHandle.optional(),
  /** Set when the attempt is stopping or over: nobody may claim it any more. */
  noClaim: z.boolean().optional(),
  /** Set when the attempt's end is settled: nothing of its runner counts any more. */
  closed: z.boolean().optional(),
  /** When its claimant was first known to have lived on after the attempt was closed. */
  outlivedAt: instant.optional(),
});
export type RunRecord = z.infer<typeof runRecord>;

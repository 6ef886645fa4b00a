import * as z from 'zod';
import { reason } from './reason.ts';
import { runHandle } from './run-handle.ts';

/**
 * What a back end said about one run, in words that all back ends share. Native events and answers to questions are
 * translated into this; judging does not know where it came from.
 */
export const runObservation = z.object({
  taskId: z.string(),
  attempt: z.int().min(1),
  nativeId: z.string(),
  handle: runHandle,
  /** Native order number of this observation, where the back end has one. */
  sequence: z.int().optional(),
  /** `lost`: the back end has given up on it, and does not know whether anything of it is left. It must be stopped, and that be proven. */
  phase: z.enum(['starting', 'running', 'ended', 'lost']),
  /** Only with `ended` and `lost`. */
  end: z
    .object({
      /** `exited`: the agent container ended by itself; `lost`: the compute failed it; `stopped`: somebody stopped it. */
      kind: z.enum(['exited', 'lost', 'stopped']),
      exitCode: z.int().optional(),
      reason,
    })
    .optional(),
});
export type RunObservation = z.infer<typeof runObservation>;

import * as z from 'zod';

/** What a run left behind, told by its report. `branch` is null when the agent changed nothing. */
export const taskResult = z.object({
  branch: z.string().nullable(),
  commit: z.string().nullable(),
  baseCommit: z.string().nullable(),
  filesChanged: z.int().min(0),
  insertions: z.int().min(0),
  deletions: z.int().min(0),
  pullRequest: z.string().nullable(),
});
export type TaskResult = z.infer<typeof taskResult>;

/** Work that a stopped or failed run pushed for the next attempt to continue from. */
export const savedWork = z.object({ branch: z.string(), commit: z.string() });
export type SavedWork = z.infer<typeof savedWork>;

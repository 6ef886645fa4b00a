import * as z from 'zod';

/** Git allows more; what rides in an event has a bound. */
const branch = z.string().min(1).max(255);
/** SHA-1 or SHA-256, hexadecimal. */
const commit = z.string().min(1).max(64);

/** Work that a stopped or failed run pushed for the next attempt to continue from. */
export const savedWork = z.object({ branch, commit });
export type SavedWork = z.infer<typeof savedWork>;

/** What a run left behind, told by its report. `branch` is null when the agent changed nothing. */
export const taskResult = z.object({
  branch: branch.nullable(),
  commit: commit.nullable(),
  baseCommit: commit.nullable(),
  filesChanged: z.int().min(0),
  insertions: z.int().min(0),
  deletions: z.int().min(0),
  pullRequest: z.string().max(1024).nullable(),
  /** Work of an earlier attempt that was to be continued and was not there any more: the run began without it. */
  lostWork: savedWork.optional(),
});
export type TaskResult = z.infer<typeof taskResult>;

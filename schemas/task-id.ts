import * as z from 'zod';

/** `t` and 24 characters of lower-case base 32: short enough for a branch, an ECS `startedBy` (128) and a schedule name (64). */
export const taskId = z
  .string()
  .regex(/^t[0-9a-hjkmnp-tv-z]{24}$/, 'a task id is "t" followed by 24 characters of lower-case base 32')
  .brand<'TaskId'>();

export type TaskId = z.infer<typeof taskId>;

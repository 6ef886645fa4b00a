import * as z from 'zod';
import { instant } from '../schemas/json.ts';
import { reason } from '../schemas/reason.ts';
import { savedWork } from '../schemas/task-result.ts';
import { defineEvent } from './define.ts';

export const runLost = defineEvent({
  type: 'RunLost',
  summary: 'The run was lost, or a rate limit paused it; the next attempt starts later, from what was saved.',
  schema: z.object({
    reason,
    nextAttemptAt: instant,
    /** A rate limit asked the task to wait; that uses up no attempt. */
    paused: z.boolean().optional(),
    /** What the next attempt continues from; null: nothing was saved, it begins from the base branch. */
    savedWork: savedWork.nullable().optional(),
  }),
});

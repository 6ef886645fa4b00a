import * as z from 'zod';
import { reason } from '../schemas/reason.ts';
import { taskResult } from '../schemas/task-result.ts';
import { defineEvent } from './define.ts';

export const taskCancelled = defineEvent({
  type: 'TaskCancelled',
  summary: 'The task ended because somebody asked for it.',
  schema: z.object({
    reason,
    result: taskResult.optional(),
  }),
  drives: true,
});

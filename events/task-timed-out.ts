import * as z from 'zod';
import { reason } from '../schemas/reason.ts';
import { taskResult } from '../schemas/task-result.ts';
import { defineEvent } from './define.ts';

export const taskTimedOut = defineEvent({
  type: 'TaskTimedOut',
  summary: 'The task ended because its time-out passed.',
  schema: z.object({
    reason,
    result: taskResult.optional(),
  }),
  drives: true,
});

import * as z from 'zod';
import { reason } from '../schemas/reason.ts';
import { taskResult } from '../schemas/task-result.ts';
import { defineEvent } from './define.ts';

export const taskFailed = defineEvent({
  type: 'TaskFailed',
  summary: 'The task ended without success.',
  schema: z.object({
    reason,
    result: taskResult.optional(),
  }),
  drives: true,
});

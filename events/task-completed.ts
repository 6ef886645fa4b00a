import * as z from 'zod';
import { taskResult } from '../schemas/task-result.ts';
import { defineEvent } from './define.ts';

export const taskCompleted = defineEvent({
  type: 'TaskCompleted',
  summary: "The agent's work is done and reported.",
  schema: z.object({
    result: taskResult,
  }),
  drives: true,
});

import * as z from 'zod';
import { defineEvent } from './define.ts';

export const taskRejected = defineEvent({
  type: 'TaskRejected',
  summary: 'A request was refused before it became a task.',
  schema: z.object({
    taskId: z.string(),
    userId: z.string(),
    reason: z.object({ code: z.string(), message: z.string() }),
  }),
  edge: 'out',
});

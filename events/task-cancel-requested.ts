import * as z from 'zod';
import { TEXT_MAX_CHARS } from '../schemas/json.ts';
import { defineEvent } from './define.ts';

export const taskCancelRequested = defineEvent({
  type: 'TaskCancelRequested',
  source: 'baton.request',
  summary: 'A producer asks that a task ends now.',
  schema: z.object({
    taskId: z.string(),
    reason: z.string().max(TEXT_MAX_CHARS).optional(),
  }),
  edge: 'in',
});

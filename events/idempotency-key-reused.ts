import * as z from 'zod';
import { defineEvent } from './define.ts';

export const idempotencyKeyReused = defineEvent({
  type: 'IdempotencyKeyReused',
  summary: 'A known idempotency key came with other content; the first answer stands.',
  schema: z.object({
    taskId: z.string(),
    userId: z.string(),
  }),
  edge: 'out',
});

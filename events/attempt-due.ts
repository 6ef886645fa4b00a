import * as z from 'zod';
import { defineEvent } from './define.ts';

export const attemptDue = defineEvent({
  type: 'AttemptDue',
  summary: 'The wait before the next attempt is over.',
  schema: z.object({
    attempt: z.int(),
  }),
  drives: true,
});

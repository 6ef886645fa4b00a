import * as z from 'zod';
import { defineEvent } from './define.ts';

export const taskAdmitted = defineEvent({
  type: 'TaskAdmitted',
  summary: 'The task holds a slot.',
  schema: z.object({
    slotKey: z.string(),
    /** Present when a text has to be fetched before the input can be prepared. */
    context: z.literal('required').optional(),
  }),
  drives: true,
});

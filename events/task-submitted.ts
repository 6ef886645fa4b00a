import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { instant } from '../schemas/json.ts';
import { defineEvent } from './define.ts';

export const taskSubmitted = defineEvent({
  type: 'TaskSubmitted',
  summary: 'A task was accepted and waits for a slot.',
  schema: z.object({
    userId: z.string(),
    repository: z.string(),
    compute,
    deadlineAt: instant,
    /** Present where the request must pass screening before anything else happens. */
    screening: z.literal('required').optional(),
  }),
  drives: true,
});

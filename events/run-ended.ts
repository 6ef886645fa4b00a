import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { defineEvent } from './define.ts';

export const runEnded = defineEvent({
  type: 'RunEnded',
  summary: 'The compute of a run has ended, or was given up.',
  schema: z.object({
    compute,
    status: z.string(),
    proof: z.enum(['proven', 'never_started', 'given_up']),
    exitCode: z.int().optional(),
  }),
  drives: true,
});

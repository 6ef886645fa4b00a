import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { defineEvent } from './define.ts';

export const runCheckRequested = defineEvent({
  type: 'RunCheckRequested',
  summary: 'Something is overdue: ask the back end what became of the run.',
  schema: z.object({
    compute,
    startedBy: z.string(),
    purpose: z.string(),
  }),
});

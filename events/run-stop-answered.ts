import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { defineEvent } from './define.ts';

export const runStopAnswered = defineEvent({
  type: 'RunStopAnswered',
  summary: 'What the back end answered when it was asked to stop a run.',
  schema: z.object({
    compute,
    outcome: z.enum(['stopping', 'already_ended', 'not_found']),
    nativeId: z.string().optional(),
  }),
  edge: 'out',
});

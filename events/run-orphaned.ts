import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { defineEvent } from './define.ts';

export const runOrphaned = defineEvent({
  type: 'RunOrphaned',
  summary: 'A run could not be proven ended in time, or lived on after its end; it may still cost money.',
  schema: z.object({
    compute,
    startedBy: z.string(),
    nativeId: z.string().optional(),
    message: z.string(),
  }),
  edge: 'out',
});

import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { instant } from '../schemas/json.ts';
import { defineEvent } from './define.ts';

/** What a run costs on AWS while nobody stops it. */
const runningCost = z.object({
  /** US dollars, at most, by list prices; a run with a size of its own may cost more. */
  usdPerHour: z.number().min(0),
  /** When it was started. */
  since: instant.optional(),
  /** When its back end ends it by itself, where it does. */
  endsBy: instant.optional(),
});
export type RunningCost = z.infer<typeof runningCost>;

export const runOrphaned = defineEvent({
  type: 'RunOrphaned',
  summary: 'A run could not be proven ended in time, or lived on after its end; it may still cost money.',
  schema: z.object({
    compute,
    startedBy: z.string(),
    nativeId: z.string().optional(),
    message: z.string(),
    runningCost: runningCost.optional(),
  }),
});

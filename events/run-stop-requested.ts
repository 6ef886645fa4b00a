import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { reason } from '../schemas/reason.ts';
import { runHandle } from '../schemas/run-handle.ts';
import { defineEvent } from './define.ts';

export const runStopRequested = defineEvent({
  type: 'RunStopRequested',
  summary: 'A run must end: stop it and see it stop.',
  schema: z.object({
    compute,
    startedBy: z.string(),
    handle: runHandle.optional(),
    reason,
  }),
  drives: true,
});

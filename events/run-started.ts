import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { runHandle } from '../schemas/run-handle.ts';
import { defineEvent } from './define.ts';

export const runStarted = defineEvent({
  type: 'RunStarted',
  summary: 'The run gave its first sign of life.',
  schema: z.object({
    compute,
    handle: runHandle.optional(),
    nativeId: z.string().optional(),
  }),
  edge: 'out',
});

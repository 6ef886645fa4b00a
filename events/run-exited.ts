import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { defineEvent } from './define.ts';

export const runExited = defineEvent({
  type: 'RunExited',
  summary: 'The run exited as if all were well, but its report is not there yet.',
  schema: z.object({
    compute,
    exitCode: z.int(),
  }),
  edge: 'out',
});

import * as z from 'zod';
import { compute } from '../schemas/compute.ts';
import { defineEvent } from './define.ts';

export const taskHydrated = defineEvent({
  type: 'TaskHydrated',
  summary: 'The input of the run is stored and the run can start.',
  schema: z.object({
    compute,
  }),
  drives: true,
});

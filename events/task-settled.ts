import * as z from 'zod';
import { defineEvent } from './define.ts';

export const taskSettled = defineEvent({
  type: 'TaskSettled',
  summary: 'Nothing of the task is left to do: fact delivered, compute ended, slot returned, payload deleted.',
  schema: z.object({
    status: z.string(),
  }),
  edge: 'out',
});

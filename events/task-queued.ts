import * as z from 'zod';
import { defineEvent } from './define.ts';

export const taskQueued = defineEvent({
  type: 'TaskQueued',
  summary: 'No slot was free; the task waits in line.',
  schema: z.object({
    slotKey: z.string(),
    position: z.int(),
  }),
  edge: 'out',
});

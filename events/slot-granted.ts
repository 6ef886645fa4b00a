import * as z from 'zod';
import { defineEvent } from './define.ts';

export const slotGranted = defineEvent({
  type: 'SlotGranted',
  summary: 'A slot became free and belongs to this waiting task now.',
  schema: z.object({
    slotKey: z.string(),
    taskId: z.string(),
    attempt: z.int(),
  }),
  drives: true,
});

import * as z from 'zod';
import { instant } from '../schemas/json.ts';
import { reason } from '../schemas/reason.ts';
import { defineEvent } from './define.ts';

export const runLost = defineEvent({
  type: 'RunLost',
  summary: 'The run was lost through no fault of the agent; the next attempt starts later.',
  schema: z.object({
    reason,
    nextAttemptAt: instant,
  }),
});

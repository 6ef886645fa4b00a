import * as z from 'zod';
import { TEXT_MAX_CHARS } from '../schemas/json.ts';
import { defineEvent } from './define.ts';
import { runSignal } from './run-signal.ts';

export const runProgressed = defineEvent({
  type: 'RunProgressed',
  source: 'baton.agent',
  summary: 'The agent said something worth showing.',
  schema: z.object({
    ...runSignal,
    text: z.string().max(TEXT_MAX_CHARS),
    /** Present when the runner itself says it; otherwise it is a line of the agent. */
    by: z.literal('runner').optional(),
  }),
  edge: 'in',
});

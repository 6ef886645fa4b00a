import * as z from 'zod';
import { defineEvent } from './define.ts';
import { runSignal } from './run-signal.ts';

export const runReported = defineEvent({
  type: 'RunReported',
  source: 'baton.agent',
  summary: 'A runner has stored its report; the record is what counts, this is the hint to read it.',
  schema: z.object({
    ...runSignal,
  }),
  edge: 'in',
});

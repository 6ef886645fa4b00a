import * as z from 'zod';
import { defineEvent } from './define.ts';
import { runSignal } from './run-signal.ts';

export const runClaimed = defineEvent({
  type: 'RunClaimed',
  source: 'baton.agent',
  summary: 'A runner has claimed its attempt and begins to work.',
  schema: z.object({
    ...runSignal,
  }),
  edge: 'in',
});

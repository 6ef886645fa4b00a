import * as z from 'zod';
import { defineEvent } from './define.ts';
import { runSignal } from './run-signal.ts';

export const runFenced = defineEvent({
  type: 'RunFenced',
  source: 'baton.agent',
  summary: 'A runner that had claimed its attempt was refused: the attempt is over, and the runner leaves.',
  schema: z.object({
    ...runSignal,
  }),
  edge: 'in',
});

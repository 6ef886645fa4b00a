import { runProgressed } from '../events/run-progressed.ts';
import { defineRule } from './rule.ts';

export const takeProgress = defineRule({
  name: 'take-progress',
  summary: 'Keeps the newest progress of a run.',
  on: [runProgressed],
  emits: [],
  uses: ['runs'],
  kind: 'state',
});

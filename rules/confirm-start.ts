import { runClaimed } from '../events/run-claimed.ts';
import { runStarted } from '../events/run-started.ts';
import { defineRule } from './rule.ts';

export const confirmStart = defineRule({
  name: 'confirm-start',
  summary: "Takes a runner's claim as the first sign of life.",
  on: [runClaimed],
  emits: [runStarted],
  uses: ['tasks'],
  kind: 'state',
});

import { runLost } from '../events/run-lost.ts';
import { slotGranted } from '../events/slot-granted.ts';
import { defineRule } from './rule.ts';

export const returnSlot = defineRule({
  name: 'return-slot',
  summary: 'Returns the slot of a lost run while its task waits for the next attempt.',
  on: [runLost],
  emits: [slotGranted],
  uses: ['tasks', 'slots'],
  kind: 'state',
});

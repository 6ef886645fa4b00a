import { repositoryConfigured } from '../events/repository-configured.ts';
import { slotGranted } from '../events/slot-granted.ts';
import { defineRule } from './rule.ts';

export const applyLimit = defineRule({
  name: 'apply-limit',
  summary: 'Gives the places of a changed limit to those who wait for them.',
  on: [repositoryConfigured],
  emits: [slotGranted],
  uses: ['slots'],
  kind: 'state',
});

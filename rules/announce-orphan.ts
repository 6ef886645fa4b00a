import { runFenced } from '../events/run-fenced.ts';
import { runOrphaned } from '../events/run-orphaned.ts';
import { defineRule } from './rule.ts';

export const announceOrphan = defineRule({
  name: 'announce-orphan',
  summary: 'Tells people of a run that lived on after its end.',
  on: [runFenced],
  emits: [runOrphaned],
  uses: ['tasks', 'runs', 'settings'],
  kind: 'state',
});

import { workerBootFailed } from '../events/worker-boot-failed.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import { defineRule } from './rule.ts';

export const excludeWorker = defineRule({
  name: 'exclude-worker',
  summary: 'Keeps a machine that could not be made ready out of its fleet.',
  on: [workerBootFailed],
  emits: [workerQuarantined],
  uses: ['workers', 'machines'],
  kind: 'state',
  delivery: 'queue',
});

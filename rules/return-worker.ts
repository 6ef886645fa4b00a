import { runEnded } from '../events/run-ended.ts';
import { runOrphaned } from '../events/run-orphaned.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import { defineRule } from './rule.ts';

export const returnWorker = defineRule({
  name: 'return-worker',
  summary: 'Gives the worker of a run back that never began, and takes out one whose run was given up.',
  on: [runEnded, runOrphaned],
  // Of a run that is given up while its task stops, only the second is said: it has no proof.
  where: { data: { compute: ['ec2'], proof: ['never_started', 'given_up', { exists: false }] } },
  emits: [workerQuarantined],
  uses: ['tasks', 'workers', 'machines'],
  kind: 'state',
});

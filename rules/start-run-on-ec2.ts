import { runEnded } from '../events/run-ended.ts';
import { runStopAnswered } from '../events/run-stop-answered.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import { defineRule } from './rule.ts';

export const startRunOnEc2 = defineRule({
  name: 'start-run-on-ec2',
  summary: 'Claims a worker of the fleet and sends it the run.',
  on: [taskHydrated],
  where: { data: { compute: ['ec2'] } },
  emits: [runEnded, runStopAnswered, taskFailed, workerQuarantined],
  uses: ['tasks', 'workers', 'ec2', 'settings'],
  kind: 'effect',
});

import { runEnded } from '../events/run-ended.ts';
import { runStopAnswered } from '../events/run-stop-answered.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { defineRule } from './rule.ts';

export const startRunOnEcs = defineRule({
  name: 'start-run-on-ecs',
  summary: 'Starts the run on ECS.',
  on: [taskHydrated],
  where: { data: { compute: ['ecs'] } },
  emits: [runEnded, runStopAnswered, taskFailed],
  uses: ['tasks', 'runs', 'ecs', 'definitions', 'repositories', 'settings'],
  kind: 'effect',
});

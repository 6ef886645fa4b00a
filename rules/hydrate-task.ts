import { taskAdmitted } from '../events/task-admitted.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { defineRule } from './rule.ts';

export const hydrateTask = defineRule({
  name: 'hydrate-task',
  summary: 'Prepares and stores the input of the run.',
  on: [taskAdmitted],
  emits: [taskHydrated, taskFailed],
  uses: ['tasks', 'runs', 'payloads', 'settings'],
  kind: 'state',
});

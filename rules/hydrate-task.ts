import { contextFetched } from '../events/context-fetched.ts';
import { taskAdmitted } from '../events/task-admitted.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { taskScreened } from '../events/task-screened.ts';
import { defineRule } from './rule.ts';

export const hydrateTask = defineRule({
  name: 'hydrate-task',
  summary: 'Prepares and stores the input of the run.',
  on: [taskAdmitted, contextFetched, taskScreened],
  // What has to be fetched comes back as fetched, and what must pass screening as screened.
  where: {
    data: { context: [{ exists: false }], screening: [{ exists: false }], of: [{ exists: false }, 'context'] },
  },
  emits: [taskHydrated, taskFailed],
  uses: ['tasks', 'runs', 'payloads', 'settings'],
  kind: 'state',
});

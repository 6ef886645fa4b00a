import { contextFetched } from '../events/context-fetched.ts';
import { taskAdmitted } from '../events/task-admitted.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

export const fetchContext = defineRule({
  name: 'fetch-context',
  summary: 'Fetches the issue or pull request that the task names.',
  on: [taskAdmitted],
  where: { data: { context: ['required'] } },
  emits: [contextFetched, taskFailed],
  uses: ['tasks', 'payloads', 'contexts'],
  kind: 'effect',
});

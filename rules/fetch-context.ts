import { contextFetched } from '../events/context-fetched.ts';
import { taskAdmitted } from '../events/task-admitted.ts';
import { taskFailed } from '../events/task-failed.ts';
import { defineRule } from './rule.ts';

/** Deliveries in the embedded world: with its waits the last comes half an hour after the first. On AWS the queue tries for a day. */
const ATTEMPTS = 8;

export const fetchContext = defineRule({
  name: 'fetch-context',
  summary: 'Fetches the issue or pull request that the task names.',
  on: [taskAdmitted],
  where: { data: { context: ['required'] } },
  emits: [contextFetched, taskFailed],
  uses: ['tasks', 'payloads', 'contexts'],
  kind: 'effect',
  // Who keeps the text may be down, or ask for patience, for an hour.
  delivery: 'queue',
  attempts: ATTEMPTS,
});

import { idempotencyKeyReused } from '../events/idempotency-key-reused.ts';
import { taskRejected } from '../events/task-rejected.ts';
import { taskRequested } from '../events/task-requested.ts';
import { taskSubmitted } from '../events/task-submitted.ts';
import { defineRule } from './rule.ts';

export const acceptTask = defineRule({
  name: 'accept-task',
  summary: 'Turns a request into a task, or stores why not.',
  on: [taskRequested],
  emits: [taskSubmitted, taskRejected, idempotencyKeyReused],
  uses: ['tasks', 'payloads', 'repositories', 'settings', 'clock'],
  kind: 'effect',
  delivery: 'queue',
});

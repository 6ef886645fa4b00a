import { taskRequest } from '../schemas/task-request.ts';
import { defineEvent } from './define.ts';

export const taskRequested = defineEvent({
  type: 'TaskRequested',
  source: 'baton.request',
  summary: 'A producer asks for a task.',
  schema: taskRequest,
  edge: 'in',
  lenient: true,
});

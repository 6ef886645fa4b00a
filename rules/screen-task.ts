import { contextFetched } from '../events/context-fetched.ts';
import { screeningBlocked } from '../events/screening-blocked.ts';
import { taskFailed } from '../events/task-failed.ts';
import { taskScreened } from '../events/task-screened.ts';
import { taskSubmitted } from '../events/task-submitted.ts';
import { defineRule } from './rule.ts';

export const screenTask = defineRule({
  name: 'screen-task',
  summary: 'Has a text of the task screened, and ends the task if it is blocked or nobody could look.',
  on: [taskSubmitted, contextFetched],
  where: { data: { screening: ['required'] } },
  emits: [taskScreened, screeningBlocked, taskFailed],
  uses: ['tasks', 'payloads', 'screening'],
  kind: 'effect',
});

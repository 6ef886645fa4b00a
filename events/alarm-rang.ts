import * as z from 'zod';
import { instant } from '../schemas/json.ts';
import { defineEvent } from './define.ts';

export const alarmRang = defineEvent({
  type: 'AlarmRang',
  source: 'baton.alarm',
  summary: 'The alarm clock of a task rang.',
  schema: z.object({
    taskId: z.string(),
    at: instant,
  }),
  edge: 'in',
});

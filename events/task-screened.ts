import * as z from 'zod';
import { screenedText } from '../schemas/screening.ts';
import { defineEvent } from './define.ts';

export const taskScreened = defineEvent({
  type: 'TaskScreened',
  summary: 'A text of the task passed screening.',
  schema: z.object({
    of: screenedText,
  }),
  drives: true,
});

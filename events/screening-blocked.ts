import * as z from 'zod';
import { TEXT_MAX_CHARS } from '../schemas/json.ts';
import { FINDINGS_MAX, screenedText, screeningFinding } from '../schemas/screening.ts';
import { defineEvent } from './define.ts';

export const screeningBlocked = defineEvent({
  type: 'ScreeningBlocked',
  summary:
    'A text of the task was blocked by the guardrail, or could not be screened: the task ends before any compute.',
  schema: z.object({
    of: screenedText,
    outcome: z.enum(['blocked', 'failed']),
    /** What was found, by filter and confidence; never the text. Empty when nobody could look. */
    findings: z.array(screeningFinding).max(FINDINGS_MAX),
    /** Why nobody could look. */
    message: z.string().max(TEXT_MAX_CHARS).optional(),
  }),
  edge: 'out',
});

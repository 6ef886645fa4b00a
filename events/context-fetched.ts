import * as z from 'zod';
import { githubReference } from '../schemas/github-reference.ts';
import { defineEvent } from './define.ts';

export const contextFetched = defineEvent({
  type: 'ContextFetched',
  summary: 'The text of the issue or pull request that the task names is stored.',
  schema: z.object({
    source: githubReference,
    bytes: z.int().min(0),
    /** Present where the text must pass screening before anything else happens. */
    screening: z.literal('required').optional(),
  }),
  drives: true,
});

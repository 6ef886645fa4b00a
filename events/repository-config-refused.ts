import * as z from 'zod';
import { TEXT_MAX_CHARS } from '../schemas/json.ts';
import { defineEvent } from './define.ts';

export const repositoryConfigRefused = defineEvent({
  type: 'RepositoryConfigRefused',
  summary: 'A configuration was asked for and not stored, and why.',
  schema: z.object({
    /** As it was asked for, cut; empty where the request had none. */
    name: z.string().max(TEXT_MAX_CHARS),
    reason: z.object({ code: z.string(), message: z.string().max(TEXT_MAX_CHARS) }),
  }),
  edge: 'out',
});

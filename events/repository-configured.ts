import * as z from 'zod';
import { TEXT_MAX_CHARS } from '../schemas/json.ts';
import { defineEvent } from './define.ts';

export const repositoryConfigured = defineEvent({
  type: 'RepositoryConfigured',
  summary: 'A configuration of a repository, or of a pattern of them, was stored or removed.',
  schema: z.object({
    name: z.string(),
    /** It is no more. */
    removed: z.boolean(),
    /** Tasks at once; null where the configuration gives no limit of its own. */
    limit: z.int().nullable(),
    /** What of it the deployment did not have. */
    warning: z.string().max(TEXT_MAX_CHARS).optional(),
  }),
});

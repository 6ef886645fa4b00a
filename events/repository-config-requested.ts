import * as z from 'zod';
import { repositoryConfig, repositoryName } from '../schemas/repository-config.ts';
import { defineEvent } from './define.ts';

export const repositoryConfigRequested = defineEvent({
  type: 'RepositoryConfigRequested',
  source: 'baton.request',
  summary: 'An operator asks that a configuration holds for a repository, or (null) that it is removed.',
  schema: z.object({
    name: repositoryName,
    config: repositoryConfig.nullable(),
  }),
  edge: 'in',
  lenient: true,
});

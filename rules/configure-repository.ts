import { repositoryConfigRefused } from '../events/repository-config-refused.ts';
import { repositoryConfigRequested } from '../events/repository-config-requested.ts';
import { repositoryConfigured } from '../events/repository-configured.ts';
import { defineRule } from './rule.ts';

export const configureRepository = defineRule({
  name: 'configure-repository',
  summary: 'Stores what shall hold for a repository, or removes it.',
  on: [repositoryConfigRequested],
  emits: [repositoryConfigured, repositoryConfigRefused],
  uses: ['configurations', 'settings', 'clock'],
  kind: 'effect',
  delivery: 'queue',
});

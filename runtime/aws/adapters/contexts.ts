import { githubContexts } from '../../github-contexts.ts';
import type { Contexts } from '../../ports.ts';
import { secretsManager } from '../clients/secrets-manager.ts';
import type { EnvironmentOf } from '../environment.ts';
import { githubToken } from '../github-token.ts';

/** Issues and pull requests of GitHub, read with the token of the deployment, or as a stranger where it has none. */
export const open = ({
  BATON_GITHUB_TOKEN_ARN: secretArn,
  BATON_GITHUB_URL: url,
}: EnvironmentOf<'contexts'>): Contexts =>
  githubContexts({
    url,
    ...(secretArn === undefined ? {} : { token: githubToken({ client: secretsManager(), secretArn }) }),
  });

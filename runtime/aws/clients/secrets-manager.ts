import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for Secrets Manager; region, credentials and endpoint come from the environment. */
export const secretsManager = once(() => new SecretsManagerClient(clientConfig()));

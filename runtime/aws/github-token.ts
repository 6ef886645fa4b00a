import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { BatonError } from '../errors.ts';
import { serviceError } from './sdk-errors.ts';

/**
 * The token of GitHub out of a secret: its whole text. Kept for the life of the process, until GitHub refuses it: who asks `again` gets
 * what the secret says by then.
 */
export function githubToken(options: {
  client: SecretsManagerClient;
  secretArn: string;
}): (again: boolean) => Promise<string> {
  const { client, secretArn } = options;
  let kept: Promise<string> | undefined;
  return (again) => {
    if (again) kept = undefined;
    kept ??= ask().catch((error) => {
      kept = undefined;
      throw error;
    });
    return kept;
  };

  async function ask(): Promise<string> {
    const { SecretString: text } = await client
      .send(new GetSecretValueCommand({ SecretId: secretArn }))
      .catch((error) => {
        throw serviceError('SecretsManager GetSecretValue', error);
      });
    const token = text?.trim();
    if (!token)
      throw new BatonError('bad_configuration', `The secret ${secretArn} (BATON_GITHUB_TOKEN_ARN) holds no text.`);
    return token;
  }
}

import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { BatonError } from '../errors.ts';
import { serviceError } from './sdk-errors.ts';

/**
 * The secret of the deployment, from which run tokens and payload references are derived. Asked for at its first use and kept for
 * the life of the process; an ask that failed is not kept.
 */
export function deploymentSecret(options: { client: SecretsManagerClient; secretArn: string }): () => Promise<string> {
  const { client, secretArn } = options;
  let kept: Promise<string> | undefined;
  return () => {
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
    if (!text) throw new BatonError('bad_configuration', `The secret ${secretArn} (BATON_SECRET_ARN) holds no text.`);
    return text;
  }
}

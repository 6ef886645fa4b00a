import { secretsManager } from '../clients/secrets-manager.ts';
import { deploymentSecret } from '../deployment-secret.ts';

const secrets = new Map<string, () => Promise<string>>();

/** The deployment's secret, asked for once in the life of this process whichever ports need it. */
export function secretOf({ BATON_SECRET_ARN: secretArn }: { BATON_SECRET_ARN: string }): () => Promise<string> {
  const secret = secrets.get(secretArn) ?? deploymentSecret({ client: secretsManager(), secretArn });
  secrets.set(secretArn, secret);
  return secret;
}

import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { AgentSecret } from '../schemas/agent-secrets.ts';
import type { AgentSecrets } from './agent-secrets.ts';
import { tryAgainAfter } from './aws-faults.ts';
import { type Patience, Refused, Unavailable } from './control-plane.ts';
import { type Tried, untilAnswered } from './until-answered.ts';

type Read = { readonly name: string; readonly value: string } | { readonly unreadable: string };

/**
 * Secrets out of Secrets Manager: the whole text of each, as ECS hands it out. Needs `secretsmanager:GetSecretValue` on each of them. Nothing
 * is kept here: whoever asks gets what they hold by then.
 */
export function awsSecrets(client: SecretsManagerClient, secrets: readonly AgentSecret[]): AgentSecrets {
  return async (patience) => {
    const all = await Promise.all(secrets.map((secret) => readOf(secret, patience)));
    const unreadable = all.flatMap((read) => ('unreadable' in read ? [read.unreadable] : []));
    if (unreadable.length > 0) return { unavailable: unreadable.join('; ') };
    return { values: Object.fromEntries(all.flatMap((read) => ('value' in read ? [[read.name, read.value]] : []))) };
  };

  async function readOf({ name, arn }: AgentSecret, patience: Patience): Promise<Read> {
    try {
      const text = await untilAnswered(patience, (timeoutMs) => ask(arn, timeoutMs), 'Secrets Manager');
      if (text === undefined) return { unreadable: `${name} (${arn}) holds no text` };
      // Node refuses to start a process with it, and would quote the value.
      if (text.includes('\0')) return { unreadable: `${name} (${arn}) holds a NUL, which no variable can` };
      return { name, value: text };
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unavailable)) throw error;
      return { unreadable: `${name} (${arn}): ${error.message}` };
    }
  }

  async function ask(arn: string, timeoutMs: number): Promise<Tried<string | undefined>> {
    const within = { abortSignal: AbortSignal.timeout(timeoutMs) };
    try {
      return { answer: (await client.send(new GetSecretValueCommand({ SecretId: arn }), within)).SecretString };
    } catch (error) {
      return tryAgainAfter('GetSecretValue', withoutAnswer(error));
    }
  }
}

/** An answer that cannot be parsed is quoted by the error, and the answer is the secret. */
const withoutAnswer = (error: unknown): unknown =>
  error instanceof SyntaxError ? new Error('the answer is not JSON') : error;

import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';

/** Every request that a client sends from now on, each try of the SDK for itself, by the name of its operation. */
export function requestsOf(client: DynamoDBClient): string[] {
  const sent: string[] = [];
  client.middlewareStack.add(
    (next, context) => (args) => {
      sent.push(operationIn(context));
      return next(args);
    },
    { name: 'requestsOf', ...EACH_TRY },
  );
  return sent;
}

/** The input of every call that a client is given from now on. */
export function inputsOf(client: DynamoDBClient): object[] {
  const given: object[] = [];
  client.middlewareStack.add(
    (next) => (args) => {
      given.push(args.input);
      return next(args);
    },
    { name: 'inputsOf', step: 'initialize' },
  );
  return given;
}

/**
 * Loses the next answer to an operation: the service has done what was asked, and the SDK meets a broken connection. `meanwhile` happens
 * after it was done and before the SDK tries again.
 */
export function loseAnswer(client: DynamoDBClient, operation: string, meanwhile = async (): Promise<void> => {}): void {
  let lost = false;
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const answer = await next(args);
      if (lost || operationIn(context) !== operation) return answer;
      lost = true;
      await meanwhile();
      throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
    },
    { name: 'loseAnswer', ...EACH_TRY },
  );
}

/** Behind the SDK's retries, so that they are the real ones. */
const EACH_TRY = { step: 'finalizeRequest', priority: 'low' } as const;

const operationIn = (context: { commandName?: string }): string => (context.commandName ?? '').replace(/Command$/, '');

import * as z from 'zod';
import { refused } from './aws-error.ts';
import { type AwsService, parsedInput } from './aws-service.ts';
import { jsonProtocol } from './json-protocol.ts';

/** A secret that may be read. */
export interface ReadableSecret {
  readonly arn: string;
  readonly name: string;
  readonly text: () => string | Promise<string>;
}

/** Secrets Manager, reading only. */
export function secretsManagerService({ secrets }: { readonly secrets: readonly ReadableSecret[] }): AwsService {
  return {
    signingName: 'secretsmanager',
    targetPrefix: 'secretsmanager',
    protocol: jsonProtocol('1.1'),
    operations: {
      async GetSecretValue(input) {
        const { SecretId } = parsedInput(z.looseObject({ SecretId: z.string() }), input, 'InvalidParameterException');
        const found = secrets.find(({ arn, name }) => arn === SecretId || name === SecretId);
        if (!found) throw refused('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
        return { ARN: found.arn, Name: found.name, SecretString: await found.text(), VersionStages: ['AWSCURRENT'] };
      },
    },
  };
}

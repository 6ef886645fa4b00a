import type { Payloads } from '../../ports.ts';
import { s3 } from '../clients/s3.ts';
import type { EnvironmentOf } from '../environment.ts';
import { s3Payloads } from '../s3-payloads.ts';
import { secretOf } from './secret.ts';

/** Payloads as objects of the bucket, under references that derive from the secret. */
export const open = (environment: EnvironmentOf<'payloads'>): Payloads =>
  s3Payloads({ client: s3(), bucket: environment.BATON_PAYLOAD_BUCKET, secret: secretOf(environment) });

/** Fetches the secret, without which nothing can be put. */
export const prime = (environment: EnvironmentOf<'payloads'>): Promise<unknown> => secretOf(environment)();

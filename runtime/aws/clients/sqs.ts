import { SQSClient } from '@aws-sdk/client-sqs';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for SQS; region, credentials and endpoint come from the environment. */
export const sqs = once(() => new SQSClient(clientConfig()));

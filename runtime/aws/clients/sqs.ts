import { SQSClient } from '@aws-sdk/client-sqs';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/**
 * The one client of this process for SQS; region, credentials and endpoint come from the environment. The queue's own address does not
 * count as one: with an endpoint in the environment, messages would go to the account in the address all the same.
 */
export const sqs = once(() => new SQSClient({ ...clientConfig(), useQueueUrlAsEndpoint: false }));

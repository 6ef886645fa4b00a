import { SSMClient } from '@aws-sdk/client-ssm';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for questions to Systems Manager; region, credentials and endpoint come from the environment. */
export const ssm = once(() => new SSMClient(clientConfig()));

/** The one that sends commands: it tries once, since nobody would know a repetition. */
export const ssmSender = once(() => new SSMClient({ ...clientConfig(), maxAttempts: 1 }));

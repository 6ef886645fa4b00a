import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for EventBridge Scheduler; region, credentials and endpoint come from the environment. */
export const scheduler = once(() => new SchedulerClient(clientConfig()));

import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for Auto Scaling; region, credentials and endpoint come from the environment. */
export const autoScaling = once(() => new AutoScalingClient(clientConfig()));

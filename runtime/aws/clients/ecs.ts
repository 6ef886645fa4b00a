import { ECSClient } from '@aws-sdk/client-ecs';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for ECS; region, credentials and endpoint come from the environment. */
export const ecs = once(() => new ECSClient(clientConfig()));

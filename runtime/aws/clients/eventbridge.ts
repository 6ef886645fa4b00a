import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for EventBridge; region, credentials and endpoint come from the environment. */
export const eventBridge = once(() => new EventBridgeClient(clientConfig()));

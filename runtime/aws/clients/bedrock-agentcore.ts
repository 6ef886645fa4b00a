import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** The one client of this process for sessions of AgentCore; region, credentials and endpoint come from the environment. */
export const bedrockAgentcore = once(() => new BedrockAgentCoreClient(clientConfig()));

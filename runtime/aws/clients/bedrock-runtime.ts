import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/**
 * Tries of one call. A long text is judged as fast as the account's quota allows, so being told to slow down is normal; the time for the
 * whole text ends it.
 */
const TRIES = 8;

/** The one client of this process for the Bedrock runtime; region, credentials and endpoint come from the environment. */
export const bedrockRuntime = once(() => {
  const { requestHandler, ...config } = clientConfig();
  // By itself this client alone speaks HTTP/2, whose sessions do not outlive the sleep of a function.
  return new BedrockRuntimeClient({
    ...config,
    requestHandler: new NodeHttpHandler(requestHandler),
    maxAttempts: TRIES,
  });
});

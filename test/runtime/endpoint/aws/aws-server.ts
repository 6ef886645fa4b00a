import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { awsEndpoint } from '../../../../runtime/endpoint/aws/aws-endpoint.ts';
import type { AwsService, Place } from '../../../../runtime/endpoint/aws/aws-service.ts';

export const place: Place = { account: '000000000000', region: 'us-east-1' };

/** What an SDK client needs to talk to an address of this machine, and to complain at once. */
export const clientOf = (endpoint: string) => ({
  endpoint,
  region: place.region,
  credentials: { accessKeyId: 'nobody', secretAccessKey: 'nobody' },
  maxAttempts: 1,
});

/** Services on a plain HTTP server. */
export async function awsServer(services: readonly AwsService[]) {
  const warnings: string[] = [];
  const answer = awsEndpoint(services, { warn: (message) => warnings.push(message) });
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    warnings,
    client: clientOf(url),
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The error that a call ends with, as the SDK understood it. */
export async function errorOf(call: Promise<unknown>): Promise<Record<string, unknown>> {
  try {
    await call;
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    return { ...(error as object), name, message, status: $metadata?.httpStatusCode };
  }
  throw new Error('the call went well');
}

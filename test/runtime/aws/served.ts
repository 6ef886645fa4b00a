import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { awsEndpoint } from '../../../runtime/endpoint/aws/aws-endpoint.ts';
import type { AwsService } from '../../../runtime/endpoint/aws/aws-service.ts';
import { clientConfig } from './wire.ts';

/** Services of AWS that listen on loopback, for real clients. */
export interface Served {
  /** How a client reaches them. */
  readonly client: ReturnType<typeof clientConfig>;
  readonly troubles: unknown[];
  close(): Promise<void>;
}

export async function served(services: readonly AwsService[]): Promise<Served> {
  const troubles: unknown[] = [];
  const answer = awsEndpoint(services, { warn: (_message, error) => troubles.push(error) });
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    client: clientConfig(`http://127.0.0.1:${port}`),
    troubles,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

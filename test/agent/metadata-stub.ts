import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Credentials as the metadata service tells them (EC2 user guide, Retrieve security credentials from instance metadata). */
export const roleCredentials = (changes: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify(
    {
      Code: 'Success',
      LastUpdated: '2026-01-01T00:00:00Z',
      Type: 'AWS-HMAC',
      AccessKeyId: 'ASIAOFTHEROLE',
      SecretAccessKey: 'canary/secret+key',
      Token: 'canary/session+token==',
      Expiration: '2099-01-01T06:00:00Z',
      ...changes,
    },
    null,
    2,
  );

/** The metadata service of an instance that demands a token, and whose role has credentials. */
export interface MetadataStub {
  /** As the script has it: up to `latest`. */
  readonly url: string;
  /** `<method> <path>`, in order. */
  readonly asked: string[];
  /** What it answers when it is asked for credentials. */
  credentials: string;
  /** Name of the role. */
  role: string;
  /** Whether it fails at every request. */
  broken: boolean;
  /** At how many requests it fails before it answers. */
  failing: number;
  /** Waits with its answers until this is settled. */
  held: Promise<unknown>;
  close(): Promise<void>;
}

export async function startMetadataStub(): Promise<MetadataStub> {
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stub: MetadataStub = {
    url: `http://127.0.0.1:${port}/latest`,
    asked: [],
    credentials: roleCredentials(),
    role: 'baton-fleet-main',
    broken: false,
    failing: 0,
    held: Promise.resolve(),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return stub;

  async function answer({ method, url = '', headers }: IncomingMessage, response: ServerResponse): Promise<void> {
    stub.asked.push(`${method} ${url}`);
    await stub.held;
    if (stub.broken || stub.failing-- > 0) response.writeHead(503).end('down');
    else if (method === 'PUT' && url === '/latest/api/token' && headers['x-aws-ec2-metadata-token-ttl-seconds']) {
      response.end('a-token==');
    } else if (method !== 'GET' || headers['x-aws-ec2-metadata-token'] !== 'a-token==') response.writeHead(401).end();
    else if (url === '/latest/meta-data/iam/security-credentials/') response.end(stub.role);
    else if (url === `/latest/meta-data/iam/security-credentials/${stub.role}`) response.end(stub.credentials);
    else response.writeHead(404).end();
  }
}

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from '@jest/globals';

/** One request as a service got it. */
export interface Call {
  /** Last part of `x-amz-target`; method and path where there is none. */
  readonly operation: string;
  readonly url: URL;
  /** Parsed where it is JSON. */
  readonly body: unknown;
  readonly text: string;
}

/** `hang up`: the service did it, and its answer is lost. */
export type Answer =
  | 'hang up'
  | { readonly status?: number; readonly body?: unknown; readonly xml?: string; readonly afterMs?: number };

/** What a service answers to its nth call, counted from 0. */
export type Script = (call: Call, nth: number) => Answer;

export interface Wire {
  readonly calls: readonly Call[];
  /** Bodies of the calls of one operation, in order. */
  bodies<Body>(operation: string): Body[];
  /** How a client reaches it; one try unless a test is about the SDK's own repetitions. */
  readonly client: ReturnType<typeof clientConfig>;
}

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

/** A service on loopback that speaks AWS's protocols over real HTTP and answers as the script says. It ends with the test. */
export async function aWire(script: Script): Promise<Wire> {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    void read(request).then(async (call) => {
      calls.push(call);
      const answer = script(call, calls.length - 1);
      if (answer === 'hang up') return request.socket.destroy();
      if (answer.afterMs !== undefined) await sleep(answer.afterMs);
      const type = answer.xml === undefined ? 'application/x-amz-json-1.1' : 'application/xml';
      response.writeHead(answer.status ?? 200, { 'content-type': type, connection: 'close' });
      return response.end(answer.xml ?? JSON.stringify(answer.body ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
  const { port } = server.address() as AddressInfo;
  return {
    calls,
    bodies: <Body>(operation: string) =>
      calls.filter((call) => call.operation === operation).map((call) => call.body as Body),
    client: clientConfig(`http://127.0.0.1:${port}`),
  };
}

export const clientConfig = (endpoint: string) => ({
  endpoint,
  region: 'eu-west-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  maxAttempts: 1,
});

/** An error as services that speak JSON write it. */
export const anError = (name: string, message = '', status = 400, more: object = {}): Answer => ({
  status,
  body: { __type: name, message, ...more },
});

async function read(request: IncomingMessage): Promise<Call> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const url = new URL(request.url ?? '/', 'http://service');
  const target = request.headers['x-amz-target'];
  const operation = typeof target === 'string' ? target.split('.').at(-1) : undefined;
  const isJson = request.headers['content-type']?.includes('json') ?? false;
  return {
    operation: operation ?? `${request.method} ${decodeURIComponent(url.pathname)}`,
    url,
    text,
    body: isJson && text !== '' ? JSON.parse(text) : text,
  };
}

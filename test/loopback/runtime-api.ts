import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What one process of a function says through its own address of the Runtime API. */
export interface Runtime {
  /** Asks for its next invocation; it waits until one is answered, or for ever. */
  asksNext(answer: (invocation: RuntimeInvocation) => void): void;
  responds(requestId: string, payload: string): void;
  fails(requestId: string, error: RuntimeError): void;
  failsToStart(error: RuntimeError): void;
}

export interface RuntimeInvocation {
  readonly requestId: string;
  readonly functionArn: string;
  readonly deadlineMs: number;
  readonly payload: string;
}

export interface RuntimeError {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
}

export interface RuntimeApi {
  /** Gives a process its address: the value of `AWS_LAMBDA_RUNTIME_API`. */
  admit(id: string, runtime: Runtime): string;
  dismiss(id: string): void;
  close(): Promise<void>;
}

/** Larger than what Lambda takes (6 MB), in bytes. */
const BODY_MAX_BYTES = 8 * 1024 * 1024;
const API = '/2018-06-01/runtime';

/** The Lambda Runtime API (Lambda guide, "Using the Lambda runtime API") for many processes on one port, each below a path of its own. */
export async function runtimeApi(): Promise<RuntimeApi> {
  const runtimes = new Map<string, Runtime>();
  const server = createServer((request, response) => {
    serve(runtimes, request, response).catch((error) => refuse(response, 500, String(error)));
  });
  // A process waits for its next invocation as long as it lives.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    admit(id, runtime) {
      runtimes.set(id, runtime);
      return `127.0.0.1:${port}/${id}`;
    },
    dismiss: (id) => void runtimes.delete(id),
    close: () => closed(server),
  };
}

async function serve(
  runtimes: ReadonlyMap<string, Runtime>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [, id = '', rest = ''] = /^\/([^/]+)(\/.*)$/.exec(request.url ?? '') ?? [];
  const runtime = runtimes.get(id);
  if (!runtime || !rest.startsWith(API)) return refuse(response, 404, 'nobody has this address');
  const path = rest.slice(API.length);
  if (request.method === 'GET' && path === '/invocation/next') {
    runtime.asksNext(({ requestId, functionArn, deadlineMs, payload }) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        'lambda-runtime-aws-request-id': requestId,
        'lambda-runtime-deadline-ms': String(deadlineMs),
        'lambda-runtime-invoked-function-arn': functionArn,
      });
      response.end(payload);
    });
    return;
  }
  const body = await bodyOf(request);
  const [, requestId = '', what = ''] = /^\/invocation\/([^/]+)\/(response|error)$/.exec(path) ?? [];
  if (what === 'response') runtime.responds(requestId, body);
  else if (what === 'error') runtime.fails(requestId, errorIn(body));
  else if (path === '/init/error') runtime.failsToStart(errorIn(body));
  else return refuse(response, 404, `${path} is not known`);
  response.writeHead(202, { 'content-type': 'application/json' }).end('{"status":"OK"}');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY_MAX_BYTES) throw new Error(`a body of more than ${BODY_MAX_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function errorIn(body: string): RuntimeError {
  const said = JSON.parse(body) as Partial<RuntimeError>;
  return { errorType: 'Unknown', errorMessage: body, ...said };
}

function refuse(response: ServerResponse, status: number, errorMessage: string): void {
  if (!response.headersSent) response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ errorMessage, errorType: 'RuntimeApi' }));
}

async function closed(server: Server): Promise<void> {
  const ended = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await ended;
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isErrno } from '../../agent/supervisor-files.ts';
import { API_PREFIX } from '../../schemas/world-api.ts';
import { BatonError } from '../errors.ts';
import { failureOf } from './api-failure.ts';
import { type AwsEndpoint, awsUnavailable, isAwsCall } from './aws/aws-endpoint.ts';

/** Largest body in bytes: a prompt of 64 KiB, every byte of it escaped, and the rest of a request. */
export const BODY_MAX_BYTES = 512 * 1024;
/** Time for a client to send its whole request, in milliseconds. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Time for answers under way when the server closes, in milliseconds; then their connections are cut. */
const CLOSE_GRACE_MS = 1_000;
/** Nothing but this machine can connect. */
const ADDRESS = '127.0.0.1';
const NOT_OPEN = 'The world is starting or closing.';

/** One call, as a route sees it. */
export interface Call {
  /** What stands at the `:name` places of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** The JSON body. Throws `wrong_content_type`, `body_too_large` or `malformed_json`. */
  body(): Promise<unknown>;
  /** The bearer token, or an empty text. */
  readonly bearer: string;
  readonly response: ServerResponse;
}

/** What a route answers; `streams` when it has taken the response over. */
export type Answer =
  | { readonly status: number; readonly json: unknown }
  | { readonly status: number; readonly text: Buffer; readonly headers: Readonly<Record<string, string>> }
  | 'streams';

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the API's prefix; a part that begins with ":" takes anything but "/". */
  readonly path: string;
  handle(call: Call): Promise<Answer>;
}

export interface LoopbackServer {
  readonly port: number;
  readonly url: string;
  /** From now on calls reach the routes, and those of AWS clients their endpoint; before, they are told to wait. */
  serve(routes: readonly Route[], aws: AwsEndpoint): void;
  close(): Promise<void>;
}

/** Binds a port of the loopback interface, 0 for a free one. Throws `port_in_use` or `bad_input`. */
export async function loopbackServer(wantedPort: number): Promise<LoopbackServer> {
  let served: { readonly routes: readonly Route[]; readonly aws: AwsEndpoint } | undefined;
  let closing: Promise<void> | undefined;
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    void answer(request, response);
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  const port = await bound(server, wantedPort);

  return {
    port,
    url: `http://${ADDRESS}:${port}`,
    serve: (routes, aws) => {
      served = { routes, aws };
    },
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS).unref();
      });
      return closing;
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      assertHost(request, port);
      const open = closing === undefined ? served : undefined;
      if (isAwsCall(request.headers)) {
        return open ? await open.aws(request, response) : awsUnavailable(response, NOT_OPEN);
      }
      if (open === undefined) throw new BatonError('world_starting', NOT_OPEN);
      const { pathname, searchParams } = new URL(request.url ?? '/', `http://${ADDRESS}`);
      const { route, params } = routeOf(open.routes, request.method ?? '', pathname, (methods) =>
        response.setHeader('allow', methods),
      );
      const query = Object.fromEntries(searchParams);
      const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const told = await route.handle({ params, query, bearer, body: () => bodyOf(request), response });
      if (told === 'streams') return;
      if ('json' in told) writeJson(response, told.status, told.json);
      else write(response, told.status, { 'content-type': 'text/plain; charset=utf-8', ...told.headers }, told.text);
    } catch (error) {
      const { status, body } = failureOf(error);
      // A body that nobody read would be taken for the next request.
      if (!request.complete) response.setHeader('connection', 'close');
      if (!response.headersSent) writeJson(response, status, body);
      else response.destroy();
    } finally {
      request.resume();
    }
  }
}

/** The port that was bound. Throws `port_in_use` or `bad_input`. */
async function bound(server: Server, wantedPort: number): Promise<number> {
  try {
    server.listen({ host: ADDRESS, port: wantedPort, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    if (isErrno(error, 'EADDRINUSE')) {
      throw new BatonError('port_in_use', `Port ${wantedPort} of this machine is in use.`, { cause: error });
    }
    const why = error instanceof Error ? error.message : String(error);
    throw new BatonError('bad_input', `Port ${wantedPort} cannot be used: ${why}`, { cause: error });
  }
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : wantedPort;
}

/** A page of the web that had its own name point to this machine (DNS rebinding) still says its own name here. */
function assertHost({ headers }: IncomingMessage, port: number): void {
  const host = headers.host?.toLowerCase() ?? '';
  if ([ADDRESS, 'localhost', '[::1]'].some((name) => host === `${name}:${port}`)) return;
  throw new BatonError('host_refused', `This world does not answer for the host "${headers.host ?? ''}".`);
}

function routeOf(
  routes: readonly Route[],
  method: string,
  pathname: string,
  allow: (methods: string) => void,
): { route: Route; params: Record<string, string> } {
  const fitting = routes.flatMap((route) => {
    const params = paramsOf(API_PREFIX + route.path, pathname);
    return params ? [{ route, params }] : [];
  });
  const found = fitting.find(({ route }) => route.method === method);
  if (found) return found;
  if (fitting.length > 0) {
    const methods = fitting.map(({ route }) => route.method).join(', ');
    allow(methods);
    throw new BatonError('wrong_method', `${pathname} takes ${methods}, not ${method}.`);
  }
  const known = routes.map((route) => `${route.method} ${API_PREFIX}${route.path}`).join(', ');
  throw new BatonError('unknown_path', `There is nothing at ${pathname}. There is: ${known}.`);
}

function paramsOf(pattern: string, pathname: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const given = pathname.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const actual = decoded(given[index] ?? '');
    if (part.startsWith(':') && actual !== '') params[part.slice(1)] = actual;
    else if (part !== actual) return undefined;
  }
  return params;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const contentType = request.headers['content-type'] ?? '';
  // A form of a foreign page can send anything but this type without asking first.
  if (!/^application\/json\s*(;|$)/i.test(contentType)) {
    throw new BatonError('wrong_content_type', `The body is "${contentType}", not application/json.`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > BODY_MAX_BYTES) {
      throw new BatonError('body_too_large', `The body is larger than ${BODY_MAX_BYTES} bytes.`);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BatonError('malformed_json', `The body is not JSON in UTF-8: ${why}`);
  }
}

function writeJson(response: ServerResponse, status: number, json: unknown): void {
  write(response, status, { 'content-type': 'application/json; charset=utf-8' }, Buffer.from(JSON.stringify(json)));
}

function write(response: ServerResponse, status: number, headers: Record<string, string>, body: Buffer): void {
  response.writeHead(status, {
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-length': String(body.length),
    ...headers,
  });
  response.end(body);
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request that GitHub got. */
export interface GithubCall {
  /** Path and query. */
  readonly path: string;
  readonly authorization: string | undefined;
  readonly userAgent: string | undefined;
}

/** `hang up`: no answer, and the connection is gone. `wait`: no answer. */
export type GithubAnswer =
  | 'hang up'
  | 'wait'
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown };

export interface GithubStub {
  readonly url: string;
  readonly calls: readonly GithubCall[];
  close(): Promise<void>;
}

/** GitHub's REST API on loopback: answers as it is told. */
export async function githubStub(answer: (call: GithubCall, nth: number) => GithubAnswer): Promise<GithubStub> {
  const calls: GithubCall[] = [];
  const server = createServer((request, response) => take(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    calls,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };

  function take({ url: path = '', headers, socket }: IncomingMessage, response: ServerResponse): void {
    const call = { path, authorization: headers.authorization, userAgent: headers['user-agent'] };
    calls.push(call);
    const told = answer(call, calls.length - 1);
    if (told === 'wait') return;
    if (told === 'hang up') {
      socket.destroy();
      return;
    }
    response.writeHead(told.status ?? 200, { 'content-type': 'application/json; charset=utf-8', ...told.headers });
    response.end(typeof told.body === 'string' ? told.body : JSON.stringify(told.body ?? {}));
  }
}

/** What GitHub says of an issue, as far as anybody here reads it. */
export const anIssue = (fields: Readonly<Record<string, unknown>> = {}) => ({
  number: 7,
  title: 'The roof leaks',
  body: 'It rains into the attic.',
  state: 'open',
  user: { login: 'ada' },
  created_at: '2026-01-02T03:04:05Z',
  ...fields,
});

export const aComment = (body: string, fields: Readonly<Record<string, unknown>> = {}) => ({
  body,
  user: { login: 'bob' },
  created_at: '2026-01-03T03:04:05Z',
  ...fields,
});

/** Answers by path, without the query; lists that are not given are empty, everything else is not found. */
export const answering =
  (answers: Readonly<Record<string, unknown>>) =>
  ({ path }: GithubCall): GithubAnswer => {
    const { pathname, searchParams } = new URL(path, 'http://github');
    const page = Number(searchParams.get('page') ?? 1);
    const size = Number(searchParams.get('per_page') ?? 30);
    const body = answers[pathname] ?? (/\/(comments|reviews)$/.test(pathname) ? [] : undefined);
    if (body === undefined) return { status: 404, body: { message: 'Not Found', documentation_url: 'https://docs' } };
    return { body: Array.isArray(body) ? body.slice((page - 1) * size, page * size) : body };
  };

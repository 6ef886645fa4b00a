import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One call to AWS. */
export interface AwsCall {
  /** The UUID that the caller's SDK was given in `AWS_SDK_UA_APP_ID`; empty where there is none. */
  readonly caller: string;
  /** `dynamodb.PutItem`, `autoscaling.SetInstanceProtection`; of services that name their operations by method and path, `s3.PUT`, `bedrock-agentcore.invocations`. */
  readonly name: string;
  /** The access key that the caller signs with. */
  readonly key: string;
  readonly body: Buffer;
}

/** `before`: the caller dies and the call never happens. `after`: what was asked for happens, and the caller dies without the answer. */
export type CallFault = 'before' | 'after';

export interface WatchedCallsOptions {
  /** Where the calls of a service are answered. */
  readonly upstream: (service: string) => string;
  /** Told of every call, which waits for the answer; what it answers happens. */
  readonly onCall: (call: AwsCall) => CallFault | undefined | Promise<CallFault | undefined>;
  readonly kill: (caller: string) => void;
}

/** Stands between functions and services, and sees every call. */
export interface WatchedCalls {
  readonly url: string;
  close(): Promise<void>;
}

export async function watchedCalls(options: WatchedCallsOptions): Promise<WatchedCalls> {
  const server = createServer((incoming, outgoing) => {
    // The caller has no other word from us than a lost connection, as when AWS cannot be reached.
    relayed(options, incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const ended = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await ended;
    },
  };
}

async function relayed(options: WatchedCallsOptions, incoming: IncomingMessage, outgoing: ServerResponse) {
  const { method = 'GET', url = '/', headers } = incoming;
  const service = serviceOf(headers);
  const body = await bodyOf(incoming);
  const operation = operationOf(headers) ?? actionOf(headers, body) ?? lastWordOf(service, url) ?? method;
  const call = { caller: callerOf(headers), name: `${service}.${operation}`, key: keyOf(headers), body };
  const fault = await options.onCall(call);
  if (fault === 'before') return lose(call.caller);
  const forwarded = request(new URL(url, options.upstream(service)), { method, headers });
  forwarded.end(body);
  const [answer] = (await once(forwarded, 'response')) as [IncomingMessage];
  const answered = await bodyOf(answer);
  if (fault === 'after') return lose(call.caller);
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
  outgoing.end(answered);

  function lose(caller: string): void {
    options.kill(caller);
    outgoing.destroy();
  }
}

/** The service in the credential scope of the signature. */
const serviceOf = ({ authorization = '' }: IncomingHttpHeaders): string =>
  /Credential=[^/,]+\/\d{8}\/[^/,]*\/([^/,]+)\//.exec(authorization)?.[1] ?? '';

const operationOf = (headers: IncomingHttpHeaders): string | undefined =>
  /\.(\w+)$/.exec(String(headers['x-amz-target'] ?? ''))?.[1];

const keyOf = ({ authorization = '' }: IncomingHttpHeaders): string =>
  /Credential=([^/,]+)\//.exec(authorization)?.[1] ?? '';

/** Auto Scaling and EC2 are asked with forms. */
const actionOf = (headers: IncomingHttpHeaders, body: Buffer): string | undefined =>
  String(headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')
    ? (new URLSearchParams(body.toString()).get('Action') ?? undefined)
    : undefined;

/** AgentCore is asked by POST alone; what for is the last word of the path. */
const lastWordOf = (service: string, url: string): string | undefined =>
  service === 'bedrock-agentcore' ? /\/(\w+)(?:\?|$)/.exec(url)?.[1] : undefined;

/** The process gives its SDK a UUID as application id; libraries append their own words to it. */
const callerOf = (headers: IncomingHttpHeaders): string =>
  /\bapp\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/.exec(headers['user-agent'] ?? '')?.[1] ?? '';

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

import { randomUUID, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { BatonError } from '../../errors.ts';
import { AwsError, refused } from './aws-error.ts';
import type { AwsAnswer, AwsCall, AwsService, Protocol } from './aws-service.ts';
import { jsonProtocol, targetOf } from './json-protocol.ts';

/** Largest body in bytes: an object of 5 MB with the framing of its chunks, or 1 MB of events with every byte escaped. */
export const AWS_BODY_MAX_BYTES = 7 * 1024 * 1024;

/** Answers one request as AWS would. Never rejects. */
export type AwsEndpoint = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export interface AwsEndpointOptions {
  /** Told what failed inside, where the caller learns only that something did. */
  readonly warn?: (message: string, error: unknown) => void;
  /** Services that only who knows this access key id may use, by signing name. No secret goes with it: the id is the secret. */
  readonly keyFor?: Readonly<Record<string, string>>;
}

/** A page of the web can set neither header without asking first, and nobody here says yes. */
export const isAwsCall = (headers: IncomingHttpHeaders): boolean =>
  headers.authorization?.startsWith('AWS4-') === true || headers['x-amz-target'] !== undefined;

/**
 * Several services of AWS at one address. The target header or the credential scope says which one is meant; signatures are not
 * checked, because whoever reaches the address is this machine's own user.
 */
export function awsEndpoint(
  services: readonly AwsService[],
  { warn, keyFor = {} }: AwsEndpointOptions = {},
): AwsEndpoint {
  return async (request, response) => {
    const requestId = randomUUID();
    let protocol: Protocol = jsonProtocol('1.1');
    let answer: AwsAnswer;
    try {
      const service = serviceOf(request.headers, services);
      protocol = service.protocol;
      assertKey(request.headers, keyFor[service.signingName]);
      answer = await answerOf(service, await callOf(request));
    } catch (error) {
      const { code, status, message, members } = awsErrorOf(error);
      if (!(error instanceof AwsError)) warn?.(`AWS call ${requestId} failed`, error);
      answer = protocol.fail(code, status, message, members, requestId);
      // A body that nobody read would be taken for the next request.
      if (!request.complete) response.setHeader('connection', 'close');
    }
    send(response, answer, requestId, request.method === 'HEAD');
    request.resume();
  };
}

/** What a client hears while nobody is there to answer; it tries again by itself. */
export function awsUnavailable(response: ServerResponse, message: string): void {
  const requestId = randomUUID();
  send(response, jsonProtocol('1.1').fail('ServiceUnavailable', 503, message, {}, requestId), requestId, false);
}

function serviceOf(headers: IncomingHttpHeaders, services: readonly AwsService[]): AwsService {
  const { authorization } = headers;
  if (authorization === undefined) throw refused('MissingAuthenticationTokenException', 'Missing Authentication Token');
  const [, signedFor] = /Credential=[^/,]+\/\d{8}\/[^/,]*\/([^/,]+)\/aws4_request/.exec(authorization) ?? [];
  if (signedFor === undefined) {
    throw refused('IncompleteSignatureException', "Authorization header requires 'Credential' parameter.");
  }
  const target = targetOf({ headers });
  const found = services.find(({ signingName, targetPrefix }) =>
    target ? targetPrefix === target.prefix : signingName === signedFor,
  );
  if (found) return found;
  const known = services.map(({ signingName }) => signingName).join(', ');
  throw refused(
    'UnknownOperationException',
    `There is no service "${target?.prefix ?? signedFor}" here; there are ${known}.`,
  );
}

function assertKey({ authorization = '' }: IncomingHttpHeaders, wanted: string | undefined): void {
  if (wanted === undefined) return;
  const [, told = ''] = /Credential=([^/,]+)\//.exec(authorization) ?? [];
  const given = Buffer.from(told);
  const known = Buffer.from(wanted);
  if (given.length === known.length && timingSafeEqual(given, known)) return;
  const message = 'The AWS Access Key Id you provided does not exist in our records.';
  throw new AwsError('InvalidAccessKeyId', 403, message);
}

async function answerOf(service: AwsService, call: AwsCall): Promise<AwsAnswer> {
  const { operation, input } = service.protocol.read(call);
  const { operations } = service;
  const run = operation !== undefined && Object.hasOwn(operations, operation) ? operations[operation] : undefined;
  if (operation === undefined || run === undefined) {
    const known = Object.keys(operations).join(', ');
    const asked = operation ?? `${call.method} ${call.path}`;
    throw refused('UnknownOperationException', `${service.signingName} has no ${asked} here; it has ${known}.`);
  }
  return service.protocol.write(operation, await run(input));
}

async function callOf(request: IncomingMessage): Promise<AwsCall> {
  const url = request.url ?? '/';
  const [path = '/', query] = url.split('?', 2);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > AWS_BODY_MAX_BYTES) {
      throw new AwsError('RequestEntityTooLarge', 413, `The body is larger than ${AWS_BODY_MAX_BYTES} bytes.`);
    }
    chunks.push(chunk);
  }
  return {
    method: request.method ?? 'GET',
    path,
    query: new URLSearchParams(query ?? ''),
    headers: request.headers,
    body: Buffer.concat(chunks),
  };
}

/** Our own refusals keep their words; what may pass is a 503, which every SDK tries again. */
function awsErrorOf(error: unknown): AwsError {
  if (error instanceof AwsError) return error;
  if (error instanceof BatonError) {
    if (error.retry === 'soon') return new AwsError('ServiceUnavailable', 503, error.message);
    return refused('ValidationException', error.message);
  }
  return new AwsError('InternalFailure', 500, error instanceof Error ? error.message : String(error));
}

function send(response: ServerResponse, answer: AwsAnswer, requestId: string, isHead: boolean): void {
  if (response.destroyed) return;
  response.writeHead(answer.status, {
    'x-amzn-requestid': requestId,
    'x-amz-request-id': requestId,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-length': String(answer.body.length),
    ...answer.headers,
  });
  response.end(isHead ? undefined : answer.body);
}

import { Readable } from 'node:stream';

/** One request as it would go over the wire. */
export interface RecordedRequest {
  /** As IAM names it: autoscaling, bedrock-agentcore, dynamodb, ec2, events, sqs, scheduler, s3, ecs, secretsmanager, ssm. */
  readonly service: string;
  readonly operation: string;
  /** The JSON of the request; of Auto Scaling and EC2 its form, of S3 `{ key, text }`, of AgentCore `{ session, text }`. */
  readonly input: Record<string, unknown>;
}

/** What a service answers: its JSON, or an error by name. */
export type Answer =
  | { readonly json: object }
  | { readonly text: string }
  | { readonly error: string; readonly json?: object };

interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/**
 * A request handler for AWS SDK clients that records every request, serialised as it would be sent, and has it answered in this
 * process. What is counted is what AWS would be asked; nothing is guessed from the code above.
 */
export function recordingTransport(answer: (request: RecordedRequest) => Answer) {
  return {
    async handle(wire: WireRequest) {
      const request = requestIn(wire);
      const told = answer(request);
      const failed = 'error' in told;
      const body =
        'text' in told ? told.text : JSON.stringify(failed ? { __type: told.error, ...told.json } : told.json);
      const headers = {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        ...(failed ? { 'x-amzn-errortype': told.error } : {}),
      };
      return { response: { statusCode: failed ? 400 : 200, headers, body: Readable.from([Buffer.from(body)]) } };
    },
    destroy() {},
    metadata: { handlerProtocol: 'http/1.1' },
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  };
}

/** Target prefix of the JSON protocols → service. */
const TARGETS: Readonly<Record<string, string>> = {
  DynamoDB_20120810: 'dynamodb',
  AWSEvents: 'events',
  AmazonSQS: 'sqs',
  AmazonSSM: 'ssm',
  AmazonEC2ContainerServiceV20141113: 'ecs',
  secretsmanager: 'secretsmanager',
};

/** Where a session is named, and the last word of the path → operation (API references, InvokeAgentRuntime and StopRuntimeSession). */
const SESSION_HEADER = 'x-amzn-bedrock-agentcore-runtime-session-id';
const SESSION_OPERATIONS: Readonly<Record<string, string>> = {
  invocations: 'InvokeAgentRuntime',
  stopruntimesession: 'StopRuntimeSession',
};

const S3_OPERATIONS: Readonly<Record<string, string>> = { PUT: 'PutObject', GET: 'GetObject', DELETE: 'DeleteObject' };

function requestIn({ method, path, headers, body }: WireRequest): RecordedRequest {
  const target = headers['x-amz-target'];
  const text = textOf(body);
  if (target !== undefined) {
    const [prefix = '', operation = ''] = target.split('.');
    const service = TARGETS[prefix];
    if (service === undefined) throw new Error(`no service is known by ${target}`);
    return { service, operation, input: JSON.parse(text) as Record<string, unknown> };
  }
  // The query protocol, which Auto Scaling and EC2 speak; whose it is, is in the signature.
  if (headers['content-type'] === 'application/x-www-form-urlencoded') {
    const { Action: operation = '', ...input } = Object.fromEntries(new URLSearchParams(text));
    const [, service = ''] = /Credential=(?:[^/]+\/){3}([^/]+)\//.exec(headers['authorization'] ?? '') ?? [];
    return { service, operation, input };
  }
  if (path.startsWith('/schedules/') && method === 'POST') {
    return { service: 'scheduler', operation: 'CreateSchedule', input: JSON.parse(text) as Record<string, unknown> };
  }
  const [, verb = ''] = /^\/runtimes\/[^/]+\/([^/]+)$/.exec(path) ?? [];
  const ofSession = SESSION_OPERATIONS[verb];
  if (ofSession !== undefined) {
    return { service: 'bedrock-agentcore', operation: ofSession, input: { session: headers[SESSION_HEADER], text } };
  }
  const operation = S3_OPERATIONS[method];
  if (operation === undefined) throw new Error(`no operation is known by ${method} ${path}`);
  return { service: 's3', operation, input: { key: decodeURIComponent(path), text } };
}

function textOf(body: unknown): string {
  if (body === undefined) return '';
  if (typeof body === 'string') return body;
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  throw new Error('a body that streams is not recorded');
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';

/** Operations of AWS that a runner uses, and what ECS offers to a container. */
export type Operation =
  | 'UpdateItem'
  | 'GetItem'
  | 'PutEvents'
  | 'GetObject'
  | 'GetSecretValue'
  | 'TaskMetadata'
  | 'Credentials';

/**
 * What becomes of a request instead of the usual: an answer of the service; the cut of the connection before the service saw it
 * (`unsent`), or after it did what was asked (`answer lost`); or a body that is none of the service's.
 */
export type Fault =
  | { readonly status: number; readonly error: string }
  | { readonly body: string }
  | 'unsent'
  | 'answer lost';

/** One small real server in front of a real DynamoDB engine; S3, EventBridge and the endpoints of ECS it plays itself. */
export interface AwsStub {
  readonly url: string;
  /** Operations in the order in which they were asked for. */
  readonly asked: Operation[];
  /** `<bucket>/<key>` → content. */
  readonly objects: Map<string, string>;
  /** Complete ARN → what Secrets Manager answers of it. */
  readonly secrets: Map<string, { readonly SecretString?: string }>;
  /** What the bus accepted. */
  readonly entries: PutEventsRequestEntry[];
  /** ErrorCode of the next entries, one after another; then entries are accepted again. */
  readonly entryFaults: string[];
  /** ARN that the task metadata endpoint tells. */
  taskArn: string;
  /** Authorization headers of the requests to AWS services. */
  readonly signatures: Set<string>;
  /** Plans the next `times` answers to an operation. */
  fault(operation: Operation, fault: Fault, times?: number): void;
  /** Waits with the answers to an operation until the returned function is called. */
  hold(operation: Operation): () => void;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export async function startAwsStub(dynamoDbEndpoint: string): Promise<AwsStub> {
  const planned: { operation: Operation; fault: Fault }[] = [];
  const held = new Map<Operation, Promise<void>>();
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stub: AwsStub = {
    url: `http://127.0.0.1:${port}`,
    asked: [],
    objects: new Map(),
    secrets: new Map(),
    entries: [],
    entryFaults: [],
    taskArn: 'arn:aws:ecs:eu-west-1:000000000000:task/baton/from-metadata',
    signatures: new Set(),
    fault(operation, fault, times = 1) {
      for (let n = 0; n < times; n++) planned.push({ operation, fault });
    },
    hold(operation) {
      let release: () => void = () => undefined;
      held.set(
        operation,
        new Promise((resolve) => {
          release = resolve;
        }),
      );
      return () => {
        held.delete(operation);
        release();
      };
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return stub;

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const operation = operationOf(incoming);
    const body = await bytesOf(incoming);
    stub.asked.push(operation);
    if (incoming.headers.authorization?.startsWith('AWS4-')) stub.signatures.add(incoming.headers.authorization);
    await held.get(operation);
    const place = planned.findIndex((plan) => plan.operation === operation);
    const fault = place < 0 ? undefined : planned.splice(place, 1)[0]?.fault;
    if (fault === 'unsent') {
      outgoing.destroy();
      return;
    }
    const answer = typeof fault === 'object' ? faulty(operation, fault) : await usual(operation, incoming, body);
    if (fault === 'answer lost') {
      outgoing.destroy();
      return;
    }
    outgoing.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length }).end(answer.body);
  }

  function usual(operation: Operation, incoming: IncomingMessage, body: Buffer): Promise<Answer> | Answer {
    switch (operation) {
      case 'UpdateItem':
      case 'GetItem':
        return passedOn(dynamoDbEndpoint, incoming, body);
      case 'PutEvents':
        return json(200, taken(JSON.parse(body.toString())));
      case 'GetObject': {
        const content = stub.objects.get(decodeURIComponent((incoming.url ?? '').split('?')[0] ?? '').slice(1));
        if (content === undefined) return refusal(operation, { status: 404, error: 'NoSuchKey' });
        return { status: 200, headers: { 'content-type': 'text/plain' }, body: Buffer.from(content) };
      }
      case 'GetSecretValue': {
        const { SecretId } = JSON.parse(body.toString());
        const secret = stub.secrets.get(SecretId);
        if (secret === undefined) return refusal(operation, { status: 400, error: 'ResourceNotFoundException' });
        return json(200, { ARN: SecretId, Name: 'a secret', ...secret });
      }
      case 'TaskMetadata':
        return json(200, { Cluster: 'baton', TaskARN: stub.taskArn, Family: 'baton-agent' });
      case 'Credentials':
        return json(200, {
          AccessKeyId: 'from-endpoint',
          SecretAccessKey: 'secret',
          Token: 'session',
          Expiration: new Date(Date.now() + 3_600_000).toISOString(),
        });
    }
  }

  function taken({ Entries }: { Entries: PutEventsRequestEntry[] }): object {
    const answers = Entries.map((entry, place) => {
      const code = stub.entryFaults.shift();
      if (code !== undefined) return { ErrorCode: code, ErrorMessage: 'planned' };
      stub.entries.push(entry);
      return { EventId: `event-${stub.entries.length}-${place}` };
    });
    return { FailedEntryCount: answers.filter((answer) => 'ErrorCode' in answer).length, Entries: answers };
  }
}

function operationOf({ headers, url = '' }: IncomingMessage): Operation {
  const target = headers['x-amz-target'];
  if (typeof target === 'string') return target.split('.').at(-1) as Operation;
  if (url.startsWith('/metadata/')) return 'TaskMetadata';
  return url.startsWith('/credentials') ? 'Credentials' : 'GetObject';
}

const faulty = (operation: Operation, fault: Exclude<Fault, string>): Answer =>
  'body' in fault ? { ...json(200, {}), body: Buffer.from(fault.body) } : refusal(operation, fault);

function refusal(operation: Operation, { status, error }: { status: number; error: string }): Answer {
  if (operation !== 'GetObject') return json(status, { __type: `com.amazonaws#${error}`, message: 'planned' });
  const xml = `<?xml version="1.0"?><Error><Code>${error}</Code><Message>planned</Message></Error>`;
  return { status, headers: { 'content-type': 'application/xml' }, body: Buffer.from(xml) };
}

const json = (status: number, body: object): Answer => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.1' },
  body: Buffer.from(JSON.stringify(body)),
});

function passedOn(endpoint: string, { headers, method }: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onward = request(endpoint, { method: method ?? 'POST', headers }, (answer) => {
      bytesOf(answer).then(
        (told) => resolve({ status: answer.statusCode ?? 0, headers: withoutLength(answer.headers), body: told }),
        reject,
      );
    });
    onward.on('error', reject);
    onward.end(body);
  });
}

function withoutLength(headers: IncomingMessage['headers']): Answer['headers'] {
  const { 'content-length': _length, 'transfer-encoding': _encoding, connection: _connection, ...others } = headers;
  return others;
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

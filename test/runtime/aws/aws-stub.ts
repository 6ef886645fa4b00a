import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';

/** One call that a function made, with the name of its operation. */
export interface AwsStubCall {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** Answers of a service: the output, or the error that it names. */
type Answer = (
  input: Readonly<Record<string, unknown>>,
) => object | { readonly fails: string; readonly status: number };

export interface AwsStub {
  readonly url: string;
  readonly calls: readonly AwsStubCall[];
  /** Changes how an operation is answered; `undefined` gives it its usual answer back. */
  answer(operation: string, answer: Answer | undefined): void;
  /** TCP connections that were opened to it. */
  connections(): number;
  /** Entries of all PutEvents calls, in order. */
  published(): { type: string; detail: { metadata: Record<string, unknown>; data: unknown } }[];
  close(): Promise<void>;
}

const usual: Readonly<Record<string, Answer>> = {
  DescribeEventBus: () => ({ Name: 'baton', Arn: 'arn:aws:events:us-east-1:000000000000:event-bus/baton' }),
  PutEvents: ({ Entries }) => ({
    FailedEntryCount: 0,
    Entries: z
      .array(z.unknown())
      .parse(Entries)
      .map((_, place) => ({ EventId: `accepted-${place}` })),
  }),
  SendMessage: ({ MessageBody }) => ({ MessageId: '1', MD5OfMessageBody: md5Of(String(MessageBody)) }),
  GetSecretValue: ({ SecretId }) => ({ ARN: SecretId, Name: 'baton', SecretString: 'a secret of this deployment' }),
  CreateSchedule: () => ({ ScheduleArn: 'arn:aws:scheduler:us-east-1:000000000000:schedule/baton/x' }),
  PutObject: () => ({}),
  GetObject: () => ({}),
};

/** The services beside DynamoDB, as far as a function's own calls reach them: it records each and answers what it is told to. */
export async function awsStub(): Promise<AwsStub> {
  const calls: AwsStubCall[] = [];
  const answers = new Map<string, Answer>();
  let connections = 0;
  const server = createServer((request, response) => void take(request, response));
  server.on('connection', () => connections++);
  // A connection that is closed for idleness would be counted twice.
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    answer: (operation, answer) => void (answer ? answers.set(operation, answer) : answers.delete(operation)),
    connections: () => connections,
    published: () =>
      calls
        .filter(({ operation }) => operation === 'PutEvents')
        .flatMap(({ input }) => entries.parse(input['Entries']))
        .map(({ DetailType, Detail }) => ({ type: DetailType, detail: JSON.parse(Detail) })),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString();
    const target = request.headers['x-amz-target'];
    const operation = typeof target === 'string' ? (target.split('.').at(-1) ?? '') : restOperation(request);
    const input = body.startsWith('{') ? JSON.parse(body) : { url: request.url, body };
    calls.push({ operation, input });
    const answer = failureOr.parse((answers.get(operation) ?? usual[operation] ?? unknown)(input));
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    if (answer.fails !== undefined) {
      response.writeHead(answer.status ?? 400).end(JSON.stringify({ __type: answer.fails, message: answer.fails }));
    } else response.end(JSON.stringify(answer));
  }
}

const entries = z.array(z.looseObject({ DetailType: z.string(), Detail: z.string() }));

const failureOr = z.looseObject({ fails: z.string().optional(), status: z.int().optional() });

const unknown: Answer = () => ({ fails: 'UnknownOperationException', status: 400 });

/** The SQS client compares it. */
const md5Of = (text: string): string => createHash('md5').update(text).digest('hex');

function restOperation({ method, url = '' }: IncomingMessage): string {
  if (url.startsWith('/schedules/')) return 'CreateSchedule';
  return method === 'PUT' ? 'PutObject' : method === 'GET' ? 'GetObject' : String(method);
}

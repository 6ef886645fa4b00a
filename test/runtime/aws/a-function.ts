import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dynamoStore } from '../../../runtime/aws/dynamo-store.ts';
import type { RecordStore } from '../../../runtime/ports.ts';
import { taskKey } from '../../../runtime/records.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import type { Task } from '../../../schemas/task.ts';
import { type DynamoServer, nearestEngine } from '../../aws/dynamo-server.ts';
import { functionProcess, type InvocationEnd } from '../../loopback/function-process.ts';
import { type RuntimeApi, runtimeApi } from '../../loopback/runtime-api.ts';
import { type AwsStub, awsStub } from './aws-stub.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** The time-out that infrastructure gives every function, in seconds. */
const TIMEOUT_S = 30;

export interface AFunction {
  /** Direct: one envelope. */
  invoke(event: unknown): Promise<InvocationEnd>;
  /** What it logged, line by line; what is no JSON is left out. */
  lines(): Record<string, unknown>[];
  /** Everything that it wrote. */
  readonly output: string[];
  readonly gone: Promise<void>;
  kill(): void;
}

type Changes = Readonly<Record<string, string | undefined>>;

export interface FunctionScene {
  readonly aws: AwsStub;
  readonly store: RecordStore;
  /** Starts a process with the bundle of a rule. `undefined` takes a variable away. */
  start(rule: string, changes?: Changes): AFunction;
  has(task: Task): Promise<void>;
  task(taskId: string): Promise<Task>;
  close(): Promise<void>;
}

/** The deployed bundles as processes behind the Lambda Runtime API, with a real table and every other service recorded. */
export async function aFunctionScene(): Promise<FunctionScene> {
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), '--lambda', '--if-stale'], { stdio: 'pipe' });
  const [dynamo, aws, api] = await Promise.all([nearestEngine.start(), awsStub(), runtimeApi()]);
  const table = await dynamo.createTable();
  const client = dynamo.client();
  const store = dynamoStore({ client, table, retentionDays: 90 });
  const kills: (() => void)[] = [];
  return {
    aws,
    store,
    start(rule, changes = {}) {
      const process = started(rule, { ...environmentOf(dynamo, aws, table), ...changes }, api);
      kills.push(process.kill);
      return process;
    },
    async has(task) {
      await store.put(taskKey(task.taskId), task, 'any', { by: task.userId, at: task.submittedAt, open: true });
    },
    task: async (taskId) => (await store.get(taskKey(taskId)))?.value as Task,
    async close() {
      for (const kill of kills) kill();
      client.destroy();
      await Promise.all([dynamo.stop(), aws.close(), api.close()]);
    },
  };
}

function started(rule: string, environment: Changes, api: RuntimeApi): AFunction {
  const output: string[] = [];
  const heard: (() => void)[] = [];
  const set = Object.entries(environment).filter((variable): variable is [string, string] => variable[1] !== undefined);
  const running = functionProcess({
    function: {
      name: `baton-${rule}`,
      arn: `arn:aws:lambda:us-east-1:000000000000:function:baton-${rule}`,
      code: join(root, 'dist/lambda', rule),
      handler: 'index.handler',
      environment: {},
      timeoutSeconds: TIMEOUT_S,
      retries: 2,
      maxEventAgeSeconds: 3_600,
      onFailure: undefined,
    },
    api,
    environment: Object.fromEntries(set),
    onLog(line) {
      output.push(line);
      if (line.startsWith('{"_aws"')) heard.shift()?.();
    },
  });
  return {
    async invoke(event) {
      // Metrics are the last line of an invocation, and come by another way than its answer.
      const said = new Promise<void>((resolve) => heard.push(resolve));
      const end = await running.invoke(JSON.stringify(event), randomUUID());
      await Promise.race([said, running.gone]);
      return end;
    },
    lines: () => output.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)),
    output,
    gone: running.gone,
    kill: running.kill,
  };
}

/** All that any function reads; one that needs less looks at less. */
const environmentOf = ({ endpoint }: DynamoServer, { url }: AwsStub, table: string) => ({
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_ENDPOINT_URL: url,
  AWS_ENDPOINT_URL_DYNAMODB: endpoint,
  BATON_BUS: 'baton',
  BATON_TABLE: table,
  BATON_RECORD_RETENTION_D: '90',
  BATON_ALARM_QUEUE_URL: `${url}/000000000000/baton-alarms`,
  BATON_ALARM_QUEUE_ARN: 'arn:aws:sqs:us-east-1:000000000000:baton-alarms',
  BATON_ALARM_GROUP: 'baton',
  BATON_ALARM_ROLE_ARN: 'arn:aws:iam::000000000000:role/baton-alarms',
  BATON_ALARM_DEAD_LETTERS_ARN: 'arn:aws:sqs:us-east-1:000000000000:baton-alarms-dead',
  BATON_DEAD_LETTERS_URL: `${url}/000000000000/baton-rule-dead`,
  BATON_TASKS_AT_ONCE: '4',
  BATON_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:baton',
  BATON_PAYLOAD_BUCKET: 'baton-payloads',
  BATON_STAGE: 'main',
  BATON_COMPUTES: 'ecs',
  BATON_ECS_CLUSTER: 'arn:aws:ecs:us-east-1:000000000000:cluster/baton',
  BATON_ECS_TASK_FAMILY: 'baton-agent',
  BATON_ECS_SUBNETS: 'subnet-a',
  BATON_ECS_SECURITY_GROUPS: 'sg-a',
});

/** A message of a queue as Lambda brings it. */
export const aMessage = (event: Envelope | string, receives = 1, messageId = `message-${receives}`) => ({
  messageId,
  receiptHandle: 'r',
  body: typeof event === 'string' ? event : JSON.stringify(event),
  attributes: { ApproximateReceiveCount: String(receives), SentTimestamp: '0' },
  messageAttributes: {},
  eventSource: 'aws:sqs',
  eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:baton-alarms',
  awsRegion: 'us-east-1',
});

export const aBatch = (...messages: ReturnType<typeof aMessage>[]) => ({ Records: messages });

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { type BuildOptions, build } from 'esbuild';
import { rules } from '../rules/index.ts';
import type { Rule } from '../rules/rule.ts';
import type { PortName } from '../schemas/environment.ts';
import { median } from './meter.ts';

/** Longest load of one bundle in milliseconds; one that takes longer hangs. */
const LOAD_MAX_MS = 20_000;

const root = fileURLToPath(new URL('..', import.meta.url));
const bareDir = join(root, 'dist', 'bench', 'bare');

interface Client {
  /** Of the AWS SDK where it names no scope. */
  readonly package: string;
  readonly name: string;
  /** What our adapters send with it. */
  readonly commands: readonly string[];
  /** The call that our functions make while they start, if any. */
  readonly first?: string;
}

/** The clients of a function, as somebody would write them who used nothing else. */
const clients = {
  eventBridge: {
    package: 'client-eventbridge',
    name: 'EventBridgeClient',
    commands: ['PutEventsCommand', 'DescribeEventBusCommand'],
    first: `new DescribeEventBusCommand({ Name: 'baton' })`,
  },
  dynamoDb: {
    package: 'client-dynamodb',
    name: 'DynamoDBClient',
    commands: [
      'GetItemCommand',
      'PutItemCommand',
      'UpdateItemCommand',
      'DeleteItemCommand',
      'QueryCommand',
      'ScanCommand',
    ],
    first: `new GetItemCommand({ TableName: 'baton', Key: { key: { S: 'TASK#' } } })`,
  },
  sqs: { package: 'client-sqs', name: 'SQSClient', commands: ['SendMessageCommand'] },
  scheduler: { package: 'client-scheduler', name: 'SchedulerClient', commands: ['CreateScheduleCommand'] },
  secretsManager: {
    package: 'client-secrets-manager',
    name: 'SecretsManagerClient',
    commands: ['GetSecretValueCommand'],
    first: `new GetSecretValueCommand({ SecretId: 'baton' })`,
  },
  s3: {
    package: 'client-s3',
    name: 'S3Client',
    commands: [
      'PutObjectCommand',
      'GetObjectCommand',
      'DeleteObjectCommand',
      'DeleteObjectsCommand',
      'ListObjectsV2Command',
    ],
  },
  ecs: {
    package: 'client-ecs',
    name: 'ECSClient',
    commands: ['RunTaskCommand', 'StopTaskCommand', 'DescribeTasksCommand', 'ListTasksCommand'],
  },
  ecsDefinitions: {
    package: 'client-ecs',
    name: 'ECSClient',
    commands: ['DescribeTaskDefinitionCommand', 'RegisterTaskDefinitionCommand', 'DeregisterTaskDefinitionCommand'],
  },
  bedrockRuntime: {
    package: 'client-bedrock-runtime',
    name: 'BedrockRuntimeClient',
    commands: ['ApplyGuardrailCommand'],
  },
  agentcore: {
    package: '@aws-sdk/client-bedrock-agentcore',
    name: 'BedrockAgentCoreClient',
    commands: ['InvokeAgentRuntimeCommand', 'StopRuntimeSessionCommand'],
  },
  ssm: {
    package: 'client-ssm',
    name: 'SSMClient',
    commands: ['SendCommandCommand', 'GetCommandInvocationCommand', 'ListCommandsCommand', 'CancelCommandCommand'],
  },
  autoScaling: {
    package: 'client-auto-scaling',
    name: 'AutoScalingClient',
    commands: [
      'CompleteLifecycleActionCommand',
      'DescribeAutoScalingInstancesCommand',
      'SetInstanceProtectionCommand',
      'TerminateInstanceInAutoScalingGroupCommand',
    ],
  },
  octokit: { package: '@octokit/core', name: 'Octokit', commands: [] },
} as const satisfies Record<string, Client>;
type ClientName = keyof typeof clients;

/** The clients that each port is made of; all ports are named, so that no function is measured against too little. */
const clientsOf: Readonly<Record<PortName, readonly ClientName[]>> = {
  bus: ['eventBridge'],
  tasks: ['dynamoDb', 'sqs', 'scheduler'],
  slots: ['dynamoDb'],
  runs: ['dynamoDb', 'secretsManager'],
  payloads: ['s3', 'secretsManager'],
  agentcore: ['agentcore', 'dynamoDb'],
  ecs: ['ecs'],
  workers: ['dynamoDb'],
  ec2: ['ssm', 'autoScaling', 'dynamoDb'],
  machines: ['autoScaling'],
  definitions: ['dynamoDb', 'ecsDefinitions'],
  screening: ['bedrockRuntime'],
  contexts: ['octokit', 'secretsManager'],
  repositories: ['dynamoDb'],
  configurations: ['dynamoDb'],
  effects: ['dynamoDb'],
  letters: ['sqs'],
  webhooks: [],
  settings: [],
  clock: [],
};

/** What a rule's function is made of, as `scripts/lambda-entries.mjs` puts it together. */
const portsOf = ({ uses, delivery, once }: Rule): readonly PortName[] => [
  'bus',
  ...(once ? (['effects'] as const) : []),
  ...(delivery === 'queue' ? (['letters'] as const) : []),
  ...(uses as readonly PortName[]),
];

export interface BundleFigures {
  /** Rules whose functions are made of the same clients, and remember what they did or do not; the first one was measured. */
  readonly rules: readonly string[];
  readonly ours: Weight;
  readonly bare: Weight;
}

interface Weight {
  /** Minified, in kB of 1,000 bytes. */
  readonly kb: number;
  readonly gzipKb: number;
  /** From the import to the end of the first calls, in a fresh process. */
  readonly loadMs: number;
  /** Processor time of that, which does not depend on what else the machine does. */
  readonly loadCpuMs: number;
}

/** Size and cold load of the function bundles, each beside a bundle of the same clients, commands and first calls and nothing else. */
export async function bundleFigures(rounds: number): Promise<BundleFigures[]> {
  await promisify(execFile)(process.execPath, [join(root, 'scripts/build.mjs'), '--lambda', '--if-stale']);
  mkdirSync(bareDir, { recursive: true });
  const server = await answeringServer();
  const loader = join(bareDir, 'load.mjs');
  writeFileSync(loader, LOADER);
  try {
    const figures: BundleFigures[] = [];
    for (const { names, rules: own } of groups()) {
      const ours = join(root, 'dist/lambda', own[0] ?? '', 'index.mjs');
      const bare = join(bareDir, `${names.join('-')}.mjs`);
      await bundleBare(names, bare);
      const loads = { ours: [] as Load[], bare: [] as Load[] };
      // In turn, so that what else the machine does falls on both.
      for (let round = 0; round < rounds; round++) {
        loads.bare.push(await loadOf(loader, bare, server));
        loads.ours.push(await loadOf(loader, ours, server));
      }
      figures.push({
        rules: own,
        ours: { ...sizeOf(ours), ...medians(loads.ours) },
        bare: { ...sizeOf(bare), ...medians(loads.bare) },
      });
    }
    return figures;
  } finally {
    server.close();
    rmSync(bareDir, { recursive: true, force: true });
  }
}

/** Rules by the clients that they are made of; those that remember what they did carry Powertools for it, and are measured apart. */
function groups(): Iterable<{ readonly names: readonly ClientName[]; readonly rules: readonly string[] }> {
  const found = new Map<string, { names: readonly ClientName[]; rules: string[] }>();
  for (const rule of rules) {
    const names = [...new Set(portsOf(rule).flatMap((port) => clientsOf[port]))].sort();
    const kind = `${names.join()} ${rule.once ? 'once' : ''}`;
    const group = found.get(kind) ?? { names, rules: [] };
    group.rules.push(rule.name);
    found.set(kind, group);
  }
  return found.values();
}

async function bundleBare(names: readonly ClientName[], outfile: string): Promise<void> {
  const { LAMBDA_BUNDLING } = (await import(pathToFileURL(join(root, 'scripts/lambda-entries.mjs')).href)) as {
    LAMBDA_BUNDLING: BuildOptions;
  };
  const used = usedBy(names);
  // Our functions ask for the secret while they start only where they keep payloads.
  const asks = ({ key }: { key: ClientName }): boolean => key !== 'secretsManager' || names.includes('s3');
  const firstCalls = used.filter(asks).flatMap((one) => (one.first ? [`${one.key}.send(${one.first})`] : []));
  const contents = [
    ...used.map((one) => `import { ${[one.name, ...one.commands].join(', ')} } from '${packageOf(one)}';`),
    ...used.map((one) => `const ${one.key} = new ${one.name}({});`),
    `await Promise.all([${firstCalls.join(', ')}]);`,
    `const commands = { ${used.map((one) => `${one.key}: { ${one.commands.join(', ')} }`).join(', ')} };`,
    `const clients = { ${used.map((one) => one.key).join(', ')} };`,
    'export const handler = ({ client, command, input }) => clients[client].send(new commands[client][command](input));',
  ].join('\n');
  await build({ ...LAMBDA_BUNDLING, write: true, outfile, absWorkingDir: root, stdin: { contents, resolveDir: root } });
}

/** One client for each package, with the commands of all ports that send with it. */
function usedBy(names: readonly ClientName[]): readonly (Client & { readonly key: ClientName })[] {
  const used = new Map<string, Client & { readonly key: ClientName }>();
  for (const name of names) {
    const client: Client = clients[name];
    const known = used.get(client.package) ?? { ...client, key: name, commands: [] };
    used.set(client.package, { ...known, commands: [...known.commands, ...client.commands] });
  }
  return [...used.values()];
}

const packageOf = (one: Client): string => (one.package.startsWith('@') ? one.package : `@aws-sdk/${one.package}`);

function sizeOf(file: string): { kb: number; gzipKb: number } {
  const code = readFileSync(file);
  return { kb: code.length / 1000, gzipKb: gzipSync(code).length / 1000 };
}

type Load = Pick<Weight, 'loadMs' | 'loadCpuMs'>;

const medians = (loads: readonly Load[]): Load => ({
  loadMs: median(loads.map(({ loadMs }) => loadMs)),
  loadCpuMs: median(loads.map(({ loadCpuMs }) => loadCpuMs)),
});

/** Imports a bundle and says what that took. Lambda's own runtime has opened the output by then, so that is no part of it. */
const LOADER = `process.stdout.write('');
const begun = performance.now();
const before = process.cpuUsage();
await import(process.argv[2]);
const { user, system } = process.cpuUsage(before);
const figures = { loadMs: performance.now() - begun, loadCpuMs: (user + system) / 1000 };
process.stdout.write(JSON.stringify(figures) + '\\n');
process.exit();
`;

async function loadOf(loader: string, bundle: string, server: Server): Promise<Load> {
  const { port } = server.address() as AddressInfo;
  const { stdout } = await promisify(execFile)(process.execPath, [loader, pathToFileURL(bundle).href], {
    env: { ...ENVIRONMENT, PATH: process.env['PATH'], AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` },
    timeout: LOAD_MAX_MS,
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Load;
}

/** Answers the first calls of every function at once. */
async function answeringServer(): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.setHeader('content-type', 'application/x-amz-json-1.0');
      response.end('{"SecretString":"a secret"}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** All that any function reads. */
const ENVIRONMENT = {
  NODE_NO_WARNINGS: '1',
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'bench',
  AWS_SECRET_ACCESS_KEY: 'bench',
  BATON_BUS: 'baton',
  BATON_TABLE: 'baton',
  BATON_RECORD_RETENTION_D: '90',
  BATON_ALARM_QUEUE_URL: 'http://127.0.0.1/baton-alarms',
  BATON_ALARM_QUEUE_ARN: 'arn:aws:sqs:us-east-1:000000000000:baton-alarms',
  BATON_ALARM_GROUP: 'baton',
  BATON_ALARM_ROLE_ARN: 'arn:aws:iam::000000000000:role/baton-alarms',
  BATON_ALARM_DEAD_LETTERS_ARN: 'arn:aws:sqs:us-east-1:000000000000:baton-alarms-dead',
  BATON_TASKS_AT_ONCE: '4',
  BATON_SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:000000000000:secret:baton',
  BATON_PAYLOAD_BUCKET: 'baton-payloads',
  BATON_STAGE: 'main',
  BATON_COMPUTES: 'agentcore,ecs,ec2',
  BATON_FLEETS: 'main',
  BATON_FLEET_DOCUMENT: 'baton-run',
  BATON_FLEET_REGION: 'us-east-1',
  BATON_FLEET_LOG_GROUP: '/baton/baton/fleet',
  BATON_AGENTCORE_RUNTIME_ARN: 'arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/baton_agent-0123456789',
  BATON_AGENTCORE_QUALIFIER: 'DEFAULT',
  BATON_ECS_CLUSTER: 'arn:aws:ecs:us-east-1:000000000000:cluster/baton',
  BATON_ECS_TASK_FAMILY: 'baton-agent',
  BATON_ECS_SUBNETS: 'subnet-a',
  BATON_ECS_SECURITY_GROUPS: 'sg-a',
  BATON_GUARDRAIL_ID: 'guardrail',
  BATON_GUARDRAIL_VERSION: '1',
  BATON_DEAD_LETTERS_URL: 'http://127.0.0.1/baton-dead-letters',
} as const;

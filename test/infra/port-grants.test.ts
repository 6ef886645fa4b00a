import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { type Grant, type Places, portGrants, runnerGrants } from '../../infra/port-grants.ts';
import { rules } from '../../rules/index.ts';
import { type PortName, portEnvironment } from '../../schemas/environment.ts';

const places: Places = {
  tableArn: 'table',
  busArn: 'bus',
  payloadBucketArn: 'bucket',
  secretArn: 'secret',
  alarmQueueArn: 'queue',
  schedulesArn: 'schedules',
  schedulerRoleArn: 'scheduler',
  deadLettersArn: 'dead',
  guardrailArn: 'guardrail',
  githubTokenArn: 'token',
  startsRuns: true,
  stopsRuns: true,
  replacesMachines: true,
  agentcore: { runtimeArn: 'runtime', endpointArn: 'endpoint', runtimesEver: 'runtime-*' },
  fleet: { documentArn: 'document', instancesArn: 'instances', stage: 'test', groupArns: ['group'] },
  ecs: {
    clusterArn: 'cluster',
    taskFamilyArn: 'family',
    userFamilyArn: 'users',
    tasksArn: 'tasks',
    taskRoleArn: 'task',
    executionRoleArn: 'execution',
  },
};

/** Port → the files that talk to AWS for it, with the service whose actions their commands are. */
const ADAPTERS: { readonly [Port in PortName]: Readonly<Record<string, string>> } = {
  bus: { 'runtime/aws/eventbridge-bus.ts': 'events' },
  tasks: { 'runtime/aws/dynamo-store.ts': 'dynamodb', 'runtime/aws/aws-alarms.ts': 'sqs scheduler' },
  slots: { 'runtime/aws/dynamo-store.ts': 'dynamodb' },
  runs: { 'runtime/aws/dynamo-store.ts': 'dynamodb', 'runtime/aws/deployment-secret.ts': 'secretsmanager' },
  payloads: { 'runtime/aws/s3-payloads.ts': 's3', 'runtime/aws/deployment-secret.ts': 'secretsmanager' },
  repositories: { 'runtime/aws/dynamo-store.ts': 'dynamodb' },
  configurations: { 'runtime/aws/dynamo-store.ts': 'dynamodb' },
  settings: {},
  clock: {},
  webhooks: {},
  // Powertools' own, all of whose calls are of use.
  effects: {
    'node_modules/@aws-lambda-powertools/idempotency/lib/esm/persistence/DynamoDBPersistenceLayer.js': 'dynamodb',
  },
  agentcore: { 'runtime/aws/dynamo-store.ts': 'dynamodb', 'runtime/aws/agentcore-sessions.ts': 'bedrock-agentcore' },
  ecs: { 'runtime/aws/ecs-backend.ts': 'ecs' },
  workers: { 'runtime/aws/dynamo-store.ts': 'dynamodb' },
  ec2: {
    'runtime/aws/dynamo-store.ts': 'dynamodb',
    'runtime/aws/ssm-commands.ts': 'ssm',
    'runtime/aws/auto-scaling-machines.ts': 'autoscaling',
    'runtime/aws/ec2-instances.ts': 'ec2',
  },
  machines: { 'runtime/aws/auto-scaling-machines.ts': 'autoscaling' },
  definitions: { 'runtime/aws/dynamo-store.ts': 'dynamodb', 'runtime/aws/ecs-registry.ts': 'ecs' },
  letters: { 'runtime/aws/dead-letter-sender.ts': 'sqs' },
  screening: { 'runtime/aws/bedrock-screening.ts': 'bedrock' },
  contexts: { 'runtime/aws/github-token.ts': 'secretsmanager' },
};

/** Commands whose action is called otherwise (Service Authorization Reference, S3). */
const OTHERWISE: Readonly<Record<string, string>> = { ListObjectsV2: 'ListBucket', DeleteObjects: 'DeleteObject' };
/** What the store can do and no port of a function asks of it: payloads alone are put without a condition and deleted, and they are in S3. */
const UNUSED = new Set(['dynamodb:UpdateItem', 'dynamodb:DeleteItem']);
/** Ports whose adapters only read: `repositoriesOver` takes no more of a store. */
const READING: ReadonlySet<PortName> = new Set(['repositories', 'agentcore']);
/** A back end asks whether a machine is there; only the rule that replaces them takes any away. */
const REPLACES = 'autoscaling:TerminateInstanceInAutoScalingGroup';
/** Actions that go with a call and are none: whose role a service may take, which tags a new resource may have. */
const BESIDES = new Set(['iam:PassRole', 'ecs:TagResource']);

function called(file: string, services: string): string[] {
  // What is asked without a command of the SDK is named in its form.
  const found = readFileSync(file, 'utf8').matchAll(/new ([A-Za-z0-9]+)Command\(|Action: '([A-Za-z]+)'/g);
  const commands = [...found].map(([, name, action = '']) => name ?? action);
  expect(commands.length).toBeGreaterThan(0);
  return commands.map((command) => {
    const service = command.includes('Schedule') ? 'scheduler' : services.split(' ')[0];
    return `${service}:${OTHERWISE[command] ?? command}`;
  });
}

const actionsOf = (grants: readonly Grant[]): string[] => [...new Set(grants.flatMap(({ actions }) => actions))].sort();

describe('the actions of a port', () => {
  it.each(Object.keys(portEnvironment) as PortName[])('of %s are those of the calls that its adapters make', (port) => {
    const calls = Object.entries(ADAPTERS[port]).flatMap(([file, services]) => called(file, services));
    const unused = (action: string): boolean =>
      (port !== 'effects' && UNUSED.has(action)) ||
      (port === 'ec2' && action === REPLACES) ||
      (READING.has(port) && action === 'dynamodb:PutItem');
    const wanted = [...new Set(calls)].filter((action) => !unused(action)).sort();
    expect(actionsOf(portGrants[port](places)).filter((action) => !BESIDES.has(action))).toEqual(wanted);
  });

  it('of the runner are those of the calls that it makes', () => {
    const file = 'agent/aws-control-plane.ts';
    const services: Readonly<Record<string, string>> = { GetObject: 's3', PutEvents: 'events' };
    const calls = called(file, 'dynamodb').map((action) => action.replace(/^.*:/, ''));
    const wanted = [...new Set(calls)].map((command) => `${services[command] ?? 'dynamodb'}:${command}`).sort();
    expect(actionsOf(runnerGrants(places))).toEqual(wanted);
  });
});

const everyGrant = [...Object.values(portGrants).flatMap((grants) => grants(places)), ...runnerGrants(places)];

describe('every grant', () => {
  it('says why', () => {
    for (const { reason } of everyGrant) expect(reason).toMatch(/^[A-Z].{10,}\.$/);
  });

  it('that touches records names their kinds', () => {
    const records = everyGrant.filter(({ actions }) => actions.some((action) => action.startsWith('dynamodb:')));
    for (const { conditions } of records) {
      expect(conditions?.['ForAllValues:StringLike']?.['dynamodb:LeadingKeys']).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^((TASK|RUN|SLOT|EFFECT|TASKDEF|WORKER|FLEET)#|REPOSITORIES)\*$/),
        ]),
      );
    }
  });

  it('to change what is configured for repositories is for the one rule that does', () => {
    const changing = rules.filter(({ uses }) =>
      uses.some((port) =>
        portGrants[port as PortName](places).some(
          ({ actions, conditions }) =>
            actions.includes('dynamodb:PutItem') &&
            conditions?.['ForAllValues:StringLike']?.['dynamodb:LeadingKeys']?.includes('REPOSITORIES*'),
        ),
      ),
    );
    expect(changing.map(({ name }) => name)).toEqual(['configure-repository']);
  });

  it('that publishes names its one source', () => {
    const publishing = everyGrant.filter(({ actions }) => actions.includes('events:PutEvents'));
    expect(publishing.map(({ conditions }) => conditions)).toEqual([
      { StringEquals: { 'events:source': 'baton' } },
      { StringEquals: { 'events:source': 'baton.agent' } },
    ]);
  });

  it('that passes a role names to whom', () => {
    const passing = everyGrant.filter(({ actions }) => actions.includes('iam:PassRole'));
    expect(
      passing.map(({ resources, conditions }) => [resources, conditions?.['StringEquals']?.['iam:PassedToService']]),
    ).toEqual([
      [['scheduler'], 'scheduler.amazonaws.com'],
      [['task', 'execution'], 'ecs-tasks.amazonaws.com'],
      [['task', 'execution'], 'ecs-tasks.amazonaws.com'],
    ]);
  });
});

describe('the runner', () => {
  it('reaches run records alone, and creates none', () => {
    const [records] = runnerGrants(places);
    expect(records?.conditions).toEqual({ 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['RUN#*'] } });
    expect(records?.actions).toEqual(['dynamodb:GetItem', 'dynamodb:UpdateItem']);
  });

  it('neither lists nor writes payloads', () => {
    const onPayloads = runnerGrants(places).filter(({ resources }) =>
      resources.some((one) => one.startsWith('bucket')),
    );
    expect(onPayloads.flatMap(({ actions, resources }) => [actions, resources])).toEqual([
      ['s3:GetObject'],
      ['bucket/payloads/*'],
    ]);
  });
});

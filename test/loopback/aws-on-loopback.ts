import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { CreateTableCommand } from '@aws-sdk/client-dynamodb';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SQSClient } from '@aws-sdk/client-sqs';
import { awsTimings, type Timings } from '../../lifecycle/timings.ts';
import { awsDeadLetters } from '../../runtime/aws/aws-dead-letters.ts';
import { dynamoStore } from '../../runtime/aws/dynamo-store.ts';
import { eventBridgeBus } from '../../runtime/aws/eventbridge-bus.ts';
import { taskDesk } from '../../runtime/endpoint/task-desk.ts';
import type { FailStart } from '../../runtime/engine/local-ecs.ts';
import { runsOver } from '../../runtime/runs.ts';
import { nearestEngine } from '../aws/dynamo-server.ts';
import type { FlowWorld } from '../flows/flow-world.ts';
import { awsServices } from './aws-services.ts';
import { STAGE } from './cloud-assembly.ts';
import { type Deployment, readDeployment } from './deployment.ts';
import { ecsOnLoopback } from './ecs-on-loopback.ts';
import { eventRouter } from './event-router.ts';
import { eventSourceMapping } from './event-source-mapping.ts';
import { type FunctionHost, functionHost } from './function-host.ts';
import { functionLog } from './function-log.ts';
import { givenUpDeliveries } from './given-up.ts';
import { type Queues, queuesOf } from './queues.ts';
import { REGION } from './template.ts';
import { type WatchedCallsOptions, watchedCalls } from './watched-calls.ts';

export interface LoopbackOptions {
  /** The cloud assembly that is deployed. */
  readonly assembly: string;
  /** Where the runs are kept, and what definitions of users refer to: `secrets.json`, and the directories of access points. */
  readonly dataDir: string;
  readonly timings: Timings;
  /** How many tasks of a user may run at once; the deployment's own bound where it is not given. */
  readonly limit?: number;
  /** How often events are delivered. */
  readonly copies?: number;
  readonly stopTimeoutSeconds?: number;
  /** How long a function may take, where a story waits for what a dead one may still have had; as deployed where it is not given. */
  readonly functionTimeoutSeconds?: number;
  readonly runnerCommand?: readonly string[];
  readonly failStart?: FailStart;
  /** Variables that every function has besides. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Secrets that the deployment did not make, by ARN. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Lets a function's process die at a call to AWS, or something else happen before it. */
  readonly dieAt?: WatchedCallsOptions['onCall'];
}

/** The deployed program on one machine: its bundles as processes, its resources as the templates say, AWS's protocols between them. */
export interface LoopbackWorld extends FlowWorld {
  readonly deployment: Deployment;
  /** Deploys templates that differ in what runs are made of, and in nothing else. Throws for any other change. */
  deploy(assembly: string): Promise<void>;
  readonly functions: FunctionHost;
  readonly queues: Queues;
  /** Address of the services but DynamoDB. */
  readonly url: string;
  /** Calls of the functions to AWS so far, by function and by name of the call. */
  calls(): Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What an operator does with everything that was given up: `baton redrive --all`. Answers how much was delivered again. */
  redrive(): Promise<number>;
}

/** Whatever the SDK signs with; nobody checks it. */
const CREDENTIALS = { accessKeyId: 'loopback', secretAccessKey: 'loopback' };
/** Tasks of one world at the most. */
const TASKS_MAX = 1_000;
const access = {
  AWS_REGION: REGION,
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
};

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

/** A container's own runner. What only the embedded world tells its runner is taken away: on AWS the runner asks ECS who it is. */
const RUNNER = [
  ...['/usr/bin/env', '-u', 'BATON_NATIVE_ID', '-u', 'BATON_WORLD_FILE'],
  ...[process.execPath, join(dist, 'runner-aws.js')],
];

export async function openAwsOnLoopback(options: LoopbackOptions): Promise<LoopbackWorld> {
  const undo: (() => unknown)[] = [];
  try {
    return await opened(options, undo);
  } catch (error) {
    await undone(undo);
    throw error;
  }
}

/** Undoes in the opposite order. */
async function undone(undo: (() => unknown)[]): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step();
}

async function opened(options: LoopbackOptions, undo: (() => unknown)[]): Promise<LoopbackWorld> {
  const { dataDir, timings, copies = 1 } = options;
  const deployment = readDeployment(options.assembly);
  mkdirSync(dataDir, { recursive: true });
  const { bus, table, clusterArn } = onlyOnesOf(deployment);
  const clock = { now: () => new Date().toISOString() };

  const dynamo = await nearestEngine.start();
  undo.push(() => dynamo.stop());
  const dynamoDb = dynamo.client({ region: REGION });
  undo.push(() => dynamoDb.destroy());
  for (const input of deployment.tables) await dynamoDb.send(new CreateTableCommand(input));

  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  undo.push(() => closed(server));

  const queues = queuesOf(deployment.queues);
  undo.push(() => queues.close());
  const troubles: string[] = [];
  const warn = (message: string, error: unknown): void => void troubles.push(`${message}: ${String(error)}`);
  // As on AWS, the first try comes again when a commit has become old.
  const waitScale = timings.REPUBLISH_AGE_S / awsTimings.REPUBLISH_AGE_S;
  const calls: Record<string, Record<string, number>> = {};
  const watched = await watchedCalls({
    upstream: (service) => (service === 'dynamodb' ? dynamo.endpoint : url),
    kill: (caller) => functions.killCaller(caller),
    onCall(call) {
      const caller = functions.functionOf(call.caller) ?? '';
      const own = calls[caller] ?? {};
      calls[caller] = { ...own, [call.name]: (own[call.name] ?? 0) + 1 };
      return options.dieAt?.(call);
    },
  });
  undo.push(() => watched.close());
  const logged: string[] = [];
  const log = functionLog();
  const givenUp = givenUpDeliveries(deployment, queues, log);
  const functions: FunctionHost = await functionHost({
    functions: deployment.functions.map((deployed) => ({
      ...deployed,
      timeoutSeconds: options.functionTimeoutSeconds ?? deployed.timeoutSeconds,
    })),
    waitScale,
    environmentOf: ({ environment }) => ({
      ...environment,
      ...access,
      AWS_ENDPOINT_URL: watched.url,
      BATON_TIMINGS: JSON.stringify(timings),
      ...(options.limit === undefined ? {} : { BATON_TASKS_AT_ONCE: String(options.limit) }),
      ...options.environment,
    }),
    onLog(text) {
      logged.push(text);
      log.take(text);
    },
    onFailedTry: (name, { error }) => warn(`a try of ${name} failed`, `${error.errorType}: ${error.errorMessage}`),
    onGivenUp: givenUp.take,
  });
  undo.push(() => functions.close());
  const router = eventRouter({ rules: deployment.rules, functions, queues, copies: () => copies });
  for (const mapping of deployment.mappings) {
    const queue = queues.byArn(mapping.queueArn);
    if (!queue) throw new Error(`an event source mapping reads ${mapping.queueArn}, which is not deployed`);
    undo.push(eventSourceMapping({ mapping, queue, functions, waitScale, copies: () => copies }));
  }

  const ecs = ecsOnLoopback({
    clock,
    deployment,
    url,
    dataDir,
    environment: { ...access, AWS_ENDPOINT_URL: url, AWS_ENDPOINT_URL_DYNAMODB: dynamo.endpoint },
    runnerCommand: [...(options.runnerCommand ?? RUNNER)],
    supervisorCommand: [process.execPath, join(dist, 'supervisor.js')],
    ...(options.stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds: options.stopTimeoutSeconds }),
    ...(options.failStart === undefined ? {} : { failStart: options.failStart }),
    publish: async (events) => router.put('default', events),
    warn,
  });
  undo.push(() => ecs.close());
  const services = awsServices({
    deployment,
    queues,
    router,
    ecs,
    functions,
    clock,
    warn,
    secrets: options.secrets ?? {},
  });
  undo.push(() => services.stop());
  server.on('request', services.serve);

  const eventBridge = new EventBridgeClient({ endpoint: url, region: REGION, credentials: CREDENTIALS });
  undo.push(() => eventBridge.destroy());
  const client = { endpoint: url, region: REGION, credentials: CREDENTIALS };
  const letters = awsDeadLetters(STAGE, {
    sqs: new SQSClient({ ...client, useQueueUrlAsEndpoint: false }),
    lambda: new LambdaClient(client),
  });
  const store = dynamoStore({ client: dynamoDb, table, retentionDays: RETENTION_D });
  const runs = runsOver({ store, clock, secret: noSecret });
  const journal = { read: async (taskId: string) => log.journal(taskId) };
  const desk = taskDesk(
    { store, bus: eventBridgeBus({ client: eventBridge, bus }), ports: { runs }, journal },
    join(dataDir, 'runs'),
  );

  return {
    deployment,
    async deploy(assembly) {
      const next = readDeployment(assembly);
      if (!isDeepStrictEqual(besideDefinitions(next), besideDefinitions(deployment))) {
        throw new Error('more than task definitions would change, which needs another world');
      }
      await ecs.deploy(next.taskDefinitions);
    },
    functions,
    queues,
    url,
    stage: STAGE,
    clusterArn,
    calls: () => structuredClone(calls),
    async redrive() {
      const told = await letters.redrive(await letters.list());
      return told.filter(({ outcome }) => outcome === 'sent').length;
    },
    // Two PutEvents of one request have two ids; the key makes them one task.
    submit: (request) => desk.submit({ idempotencyKey: randomUUID(), ...request }),
    cancel: (taskId, reason) => desk.cancel(taskId, reason === undefined ? {} : { reason }),
    view: desk.view,
    list: desk.list,
    logPath: async (taskId, attempt) => (await desk.log(taskId, attempt)).file,
    listen: router.listen,
    async interrupt(taskId, how) {
      const { run } = await desk.view(taskId);
      return run?.nativeId !== undefined && ecs.interrupt(run.nativeId, how);
    },
    unsettled: async () => (await store.query({ open: true, limit: TASKS_MAX })).length,
    async publish(events) {
      for (const event of events) router.put(event.source.startsWith('aws.') ? 'default' : bus, [event]);
    },
    isQuiet: () => functions.underWay() === 0,
    journal: journal.read,
    deadLetters: givenUp.letters,
    keptLetters: async () => givenUp.kept(),
    troubles: () => troubles,
    logged: () => logged,
    record: async (key) => (await store.get(key))?.value,
    recordCount: async () => (await store.list('', { limit: TASKS_MAX })).length,
    payloadCount: async () =>
      (await Promise.all(services.buckets.map((bucket) => bucket.list('', { limit: TASKS_MAX })))).flat().length,
    close: () => undone(undo),
  };
}

/** All that a deployment has but task definitions. Bundles are those of the world that is open. */
const besideDefinitions = ({ taskDefinitions: _, functions, ...rest }: Deployment) => ({
  ...rest,
  functions: functions.map(({ code: _code, ...one }) => one),
});

const noSecret = (): never => {
  throw new Error('only the functions of the deployment open runs');
};

/** Only handlers write records of a deployment, and only they say how long these live. */
const RETENTION_D = 90;

/** What there is one of. Throws when the templates have none. */
function onlyOnesOf({ buses: [bus], tables: [table], clusters: [cluster] }: Deployment) {
  if (!bus || table?.TableName === undefined || !cluster)
    throw new Error('a deployment has a bus, a table and a cluster');
  return { bus: bus.name, table: table.TableName, clusterArn: cluster.arn };
}

async function closed(server: Server): Promise<void> {
  const ended = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await ended;
}

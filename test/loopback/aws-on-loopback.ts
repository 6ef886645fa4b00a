import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
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
import type { Envelope } from '../../schemas/envelope.ts';
import { nearestEngine } from '../aws/dynamo-server.ts';
import type { FlowWorld } from '../flows/flow-world.ts';
import { awsServices } from './aws-services.ts';
import { type BackEndsOptions, backEndsOnLoopback } from './back-ends-on-loopback.ts';
import { STAGE } from './cloud-assembly.ts';
import { type Deployment, readDeployment } from './deployment.ts';
import { eventRouter } from './event-router.ts';
import { eventSourceMapping } from './event-source-mapping.ts';
import type { FleetOnLoopback } from './fleet-on-loopback.ts';
import { type FunctionHost, functionHost } from './function-host.ts';
import { functionLog } from './function-log.ts';
import { givenUpDeliveries } from './given-up.ts';
import { type Queues, queuesOf } from './queues.ts';
import { noteRan } from './ran-functions.ts';
import { REGION } from './template.ts';
import { type AwsCall, type WatchedCallsOptions, watchedCalls } from './watched-calls.ts';

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
  /** Events that a bus takes and never delivers. */
  readonly loses?: (event: Envelope) => boolean;
  /** Of runs on ECS; AgentCore gives a session that is stopped no time. */
  readonly stopTimeoutSeconds?: number;
  /** After so many milliseconds an event has a further process of a function that is busy (function-host.ts); 0 races as AWS does. */
  readonly crowdedMs?: number;
  /** How long a function may take, where a story waits for what a dead one may still have had; as deployed where it is not given. */
  readonly functionTimeoutSeconds?: number;
  readonly runnerCommand?: readonly string[];
  readonly failStart?: FailStart;
  /** What is refused to sessions of AgentCore, and what they do not obey. */
  readonly sessions?: BackEndsOptions['sessions'];
  /** What goes wrong with machines of a fleet, and with commands for them. */
  readonly fleet?: BackEndsOptions['fleet'];
  /** Variables that every function has besides. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Secrets that the deployment did not make, by ARN. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Lets a function's process die at a call to AWS, or something else happen before it. The name is empty for calls that no function makes. */
  readonly dieAt?: (call: AwsCall, functionName: string) => ReturnType<WatchedCallsOptions['onCall']>;
}

/** The deployed program on one machine: its bundles as processes, its resources as the templates say, AWS's protocols between them. */
export interface LoopbackWorld extends FlowWorld {
  readonly deployment: Deployment;
  /** Deploys templates that differ in what runs are made of, and in nothing else. Throws for any other change. */
  deploy(assembly: string): Promise<void>;
  readonly functions: FunctionHost;
  readonly machines: FleetOnLoopback['machines'];
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
const credentials = {
  AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
};
const access = { AWS_REGION: REGION, ...credentials };

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
  const { bus, table } = onlyOnesOf(deployment);
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
      return options.dieAt?.(call, caller);
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
    ...(options.crowdedMs === undefined ? {} : { crowdedMs: options.crowdedMs }),
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
  undo.push(() =>
    noteRan(Object.entries(functions.invocations()).flatMap(([name, count]) => (count > 0 ? [name] : []))),
  );
  const copiesOf = (event: Envelope): number => (options.loses?.(event) ? 0 : copies);
  const router = eventRouter({ rules: deployment.rules, functions, queues, copies: copiesOf });
  for (const mapping of deployment.mappings) {
    const queue = queues.byArn(mapping.queueArn);
    if (!queue) throw new Error(`an event source mapping reads ${mapping.queueArn}, which is not deployed`);
    undo.push(eventSourceMapping({ mapping, queue, functions, waitScale, copies: () => copies }));
  }

  const backEnds = backEndsOnLoopback({
    clock,
    deployment,
    url,
    dataDir,
    environment: { ...credentials, AWS_ENDPOINT_URL: url, AWS_ENDPOINT_URL_DYNAMODB: dynamo.endpoint },
    runnerCommand: options.runnerCommand,
    sessions: options.sessions,
    fleet: options.fleet,
    machineUrl: watched.url,
    ...(options.stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds: options.stopTimeoutSeconds }),
    ...(options.failStart === undefined ? {} : { failStart: options.failStart }),
    publish: async (events) => router.put('default', events),
    warn,
  });
  undo.push(() => backEnds.close());
  const services = awsServices({
    deployment,
    queues,
    router,
    ecs: backEnds.ecs,
    agentcore: backEnds.agentcore,
    fleet: backEnds.fleet,
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
      await backEnds.ecs.deploy(next.taskDefinitions);
    },
    functions,
    get machines() {
      return backEnds.fleet.machines;
    },
    queues,
    url,
    stage: STAGE,
    clusterArn: deployment.clusters[0]?.arn ?? '',
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
    interrupt: async (taskId, how) => backEnds.interrupt(await desk.view(taskId), how),
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
  functions: functions.map(({ code: _code, compiled: _compiled, ...one }) => one),
});

const noSecret = (): never => {
  throw new Error('only the functions of the deployment open runs');
};

/** Only handlers write records of a deployment, and only they say how long these live. */
const RETENTION_D = 90;

/** What there is one of. Throws when the templates have none. */
function onlyOnesOf({ buses: [bus], tables: [table] }: Deployment) {
  if (!bus || table?.TableName === undefined) throw new Error('a deployment has a bus and a table');
  return { bus: bus.name, table: table.TableName };
}

async function closed(server: Server): Promise<void> {
  const ended = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await ended;
}

import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deployedRules } from '../../infra/deployed-rules.ts';
import { awsTimings } from '../../lifecycle/timings.ts';
import { BASE_MARKER } from '../../lifecycle/user-definition.ts';
import { rules } from '../../rules/index.ts';
import { SESSION_LIFETIME_S } from '../../schemas/agentcore-session.ts';
import type { Compute } from '../../schemas/compute.ts';
import { type FlowScene, lives, quickTimings, sceneIn } from '../flows/scene.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { type LoopbackWorld, openAwsOnLoopback } from './aws-on-loopback.ts';
import { cloudAssembly, PREPARING_MAX_MS, withComputes } from './cloud-assembly.ts';
import { type Deployment, readDeployment } from './deployment.ts';

// What one healthy task may cost, whatever its duration: the counts that were recorded first (`design.md` has the aims). Progress is the
// work of a subscriber, and counted apart.

/** One for each of nine steps, and a second `settle-task` when the compute ends after the report. */
const INVOCATIONS_MAX = 10;
/** Thirteen that are written, and up to three that lose a race where report, exit and end of the task arrive within milliseconds. */
const WRITES_MAX = 16;
const ENTRIES_MAX = 9;
const ALARMS_MAX = 3;

let assembly: string;
beforeAll(() => {
  assembly = cloudAssembly();
}, PREPARING_MAX_MS);

describe.each<{ readonly computes: readonly Compute[] }>([
  { computes: ['ecs'] },
  { computes: ['agentcore'] },
  { computes: ['agentcore', 'ecs'] },
])('the deployment with $computes that is read from the synthesised templates', ({ computes }) => {
  let deployment: Deployment;
  beforeAll(() => {
    deployment = readDeployment(cloudAssembly(withComputes(computes)));
  }, PREPARING_MAX_MS);

  it('has a function with its bundle for every rule value of such a deployment, and for nothing else', () => {
    const deployed = deployedRules(rules, { computes, screening: 'off' });
    expect(deployment.functions).toHaveLength(deployed.length);
    for (const { name } of deployed) {
      const found = deployment.functions.filter((one) => one.name.endsWith(`-${name}`));
      expect(found.map(({ code }) => existsSync(join(code, 'index.mjs')))).toEqual([true]);
    }
  });

  it('leaves no target, destination, mapping or dead-letter queue that is not deployed', () => {
    const known = [...deployment.functions, ...deployment.queues].map(({ arn }) => arn);
    const named = [
      ...deployment.rules.flatMap(({ targets }) => targets.flatMap(({ arn, deadLetters }) => [arn, deadLetters])),
      ...deployment.functions.map(({ onFailure }) => onFailure),
      ...deployment.mappings.map(({ queueArn }) => queueArn),
      ...deployment.queues.flatMap(({ redrive }) => (redrive ? [redrive.arn] : [])),
    ];
    expect(named.filter((arn) => arn === undefined || !known.includes(arn))).toEqual([]);
  });

  it('feeds every rule from a bus or from a queue', () => {
    const fed = [
      ...deployment.rules.flatMap(({ targets }) => targets.map(({ arn }) => arn)),
      ...deployment.mappings.map((mapping) => mapping.function),
    ].map((arn) => arn.split(':').at(-1));
    for (const { name } of deployment.functions) expect(fed).toContain(name);
  });

  it('has a cluster and a runtime exactly where it has the back end', () => {
    expect(deployment.clusters).toHaveLength(computes.includes('ecs') ? 1 : 0);
    expect(deployment.runtimes).toHaveLength(computes.includes('agentcore') ? 1 : 0);
  });
});

describe('what runs are made of in such a deployment', () => {
  let deployment: Deployment;
  beforeAll(() => {
    deployment = readDeployment(cloudAssembly(withComputes(['agentcore', 'ecs'])));
  }, PREPARING_MAX_MS);

  it('is for AgentCore a runtime whose containers know table, bus, bucket and region, and which its functions know', () => {
    const [runtime] = deployment.runtimes;
    const [bus, table, bucket] = [deployment.buses[0]?.arn, deployment.tables[0]?.TableName, deployment.buckets[0]];
    expect(runtime).toMatchObject({
      arn: expect.stringMatching(/^arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime\/baton_loopback_agent-/),
      environment: { BATON_TABLE: table, BATON_BUS: bus, BATON_PAYLOAD_BUCKET: bucket, AWS_REGION: 'us-east-1' },
      maxLifetimeSeconds: SESSION_LIFETIME_S,
    });
    const users = deployment.functions.filter(({ environment }) => environment['BATON_AGENTCORE_RUNTIME_ARN']);
    expect(users.map(({ name }) => name.replace('baton-loopback-', '')).sort()).toEqual(
      rules.flatMap(({ name, uses }) => ((uses as readonly string[]).includes('agentcore') ? [name] : [])).sort(),
    );
    for (const { environment } of users) {
      expect(environment).toMatchObject({
        BATON_AGENTCORE_RUNTIME_ARN: runtime?.arn,
        BATON_AGENTCORE_QUALIFIER: 'DEFAULT',
      });
    }
  });

  it('is for ECS the base task definition, with the marker of the stage, and as ECS will describe it', () => {
    expect(deployment.taskDefinitions).toMatchObject([
      {
        family: 'baton-loopback-agent',
        tags: { [BASE_MARKER]: 'loopback', 'baton:stage': 'loopback' },
        definition: {
          cpu: '2048',
          requiresCompatibilities: ['FARGATE'],
          containerDefinitions: [{ name: 'agent', image: deployment.runtimes[0]?.image, stopTimeout: 120 }],
        },
      },
    ]);
  });
});

// A29
describe('a healthy task on AWS, with the waits of AWS', () => {
  let world: LoopbackWorld;
  let scene: FlowScene<LoopbackWorld>;
  beforeAll(async () => {
    const folder = sceneFolder();
    world = await openAwsOnLoopback({ assembly, dataDir: join(folder, 'data'), timings: awsTimings });
    scene = sceneIn(folder, () => world);
    world.listen((event) => scene.events.push(event));
    await scene.settled(await scene.submit('true'));
    await scene.quiet();
  });
  afterAll(() => scene.close());

  it('stays within its budget of invocations and calls, and asks compute for nothing', async () => {
    const before = {
      calls: sum(world),
      invocations: total(world.functions.invocations()),
      events: scene.events.length,
    };
    const task = await scene.settled(await scene.submit('echo x > x'));
    await scene.quiet();
    const calls = minus(sum(world), before.calls);
    const own = scene.events.slice(before.events).filter(({ source }) => source === 'baton');

    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1, duplicates: 0 });
    expect(total(world.functions.invocations()) - before.invocations).toBeLessThanOrEqual(INVOCATIONS_MAX);
    expect(calls['dynamodb.PutItem']).toBeLessThanOrEqual(WRITES_MAX);
    expect(own.length).toBeLessThanOrEqual(ENTRIES_MAX);
    expect(calls['sqs.SendMessage']).toBeLessThanOrEqual(ALARMS_MAX);
    expect(calls).toMatchObject({ 'ecs.DescribeTaskDefinition': 1, 'ecs.RunTask': 1, 's3.PUT': 2, 's3.DELETE': 2 });
    const asked = Object.keys(calls).filter((name) => /DescribeTasks|ListTasks|Scan|Query|Update|StopTask/.test(name));
    expect(asked).toEqual([]);
  });
});

describe('a world that closes while an agent works', () => {
  it('leaves no process of a function behind', async () => {
    const folder = sceneFolder();
    const world = await openAwsOnLoopback({ assembly, dataDir: join(folder, 'data'), timings: quickTimings });
    const scene = sceneIn(folder, () => world);
    const taskId = await scene.submit('sleep 5');
    await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
    const pids = world.functions.pids();
    expect(pids.length).toBeGreaterThan(0);
    await world.close();
    expect(pids.filter(lives)).toEqual([]);
    // The run goes on, as it would on ECS.
    await putAway(folder);
  });
});

describe('a world that cannot open', () => {
  it('says why', async () => {
    const empty = sceneFolder();
    mkdirSync(join(empty, 'nothing'));
    const opening = openAwsOnLoopback({ assembly: join(empty, 'nothing'), dataDir: empty, timings: quickTimings });
    await expect(opening).rejects.toThrow('holds no template');
    rmSync(empty, { recursive: true });
  });
});

type Counts = Readonly<Record<string, number>>;

/** Calls by name, without those of the subscriber. */
function sum({ calls }: LoopbackWorld): Counts {
  const counts: Record<string, number> = {};
  for (const [name, own] of Object.entries(calls())) {
    if (name.endsWith('-take-progress')) continue;
    for (const [call, count] of Object.entries(own)) counts[call] = (counts[call] ?? 0) + count;
  }
  return counts;
}

const minus = (after: Counts, before: Counts): Counts =>
  Object.fromEntries(
    Object.entries(after)
      .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );

/** Invocations of all functions but the subscriber. */
const total = (counts: Counts): number =>
  Object.entries(counts).reduce((all, [name, count]) => (name.endsWith('-take-progress') ? all : all + count), 0);

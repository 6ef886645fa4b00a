import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deployedRules } from '../../infra/deployed-rules.ts';
import { awsTimings } from '../../lifecycle/timings.ts';
import { BASE_MARKER } from '../../lifecycle/user-definition.ts';
import { rules } from '../../rules/index.ts';
import { type FlowScene, lives, quickTimings, sceneIn } from '../flows/scene.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { type LoopbackWorld, openAwsOnLoopback } from './aws-on-loopback.ts';
import { cloudAssembly, PREPARING_MAX_MS } from './cloud-assembly.ts';
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

describe('the deployment that is read from the synthesised templates', () => {
  let deployment: Deployment;
  beforeAll(() => {
    deployment = readDeployment(assembly);
  });

  it('has a function with its bundle for every rule value of such a deployment, and for nothing else', () => {
    const deployed = deployedRules(rules, { computes: ['ecs'], screening: 'off' });
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

  it('has the base task definition, with the marker of the stage, and as ECS will describe it', () => {
    expect(deployment.taskDefinitions).toMatchObject([
      {
        family: 'baton-loopback-agent',
        tags: { [BASE_MARKER]: 'loopback', 'baton:stage': 'loopback' },
        definition: {
          cpu: '2048',
          requiresCompatibilities: ['FARGATE'],
          containerDefinitions: [{ name: 'agent', image: 'example.com/baton-agent:1', stopTimeout: 120 }],
        },
      },
    ]);
  });

  it('feeds every rule from a bus or from a queue', () => {
    const fed = [
      ...deployment.rules.flatMap(({ targets }) => targets.map(({ arn }) => arn)),
      ...deployment.mappings.map((mapping) => mapping.function),
    ].map((arn) => arn.split(':').at(-1));
    for (const { name } of deployment.functions) expect(fed).toContain(name);
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

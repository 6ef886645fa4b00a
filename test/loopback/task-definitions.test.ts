import { join } from 'node:path';
import {
  DeregisterTaskDefinitionCommand,
  DescribeTaskDefinitionCommand,
  ECSClient,
  ListTaskDefinitionsCommand,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { BASE_MARKER } from '../../lifecycle/user-definition.ts';
import { configure } from '../flows/configure.ts';
import { type FlowScene, quickTimings, sceneIn } from '../flows/scene.ts';
import { sceneFolder } from '../scene-folder.ts';
import { type LoopbackWorld, openAwsOnLoopback } from './aws-on-loopback.ts';
import { cloudAssembly, PREPARING_MAX_MS } from './cloud-assembly.ts';
import type { AwsCall, CallFault } from './watched-calls.ts';

/** Longest a story may take in milliseconds: every step is a process of its own that may have to start first. */
const STORY_MAX_MS = 90_000;
/** How long such a test waits for an end, in milliseconds. */
const PATIENCE_MS = 60_000;
jest.setTimeout(STORY_MAX_MS);

const STARTER = 'baton-loopback-start-run-on-ecs';
const BASE = 'baton-loopback-agent';
const CLONES = `${BASE}-user`;
const ADA = { size: { cpu: 4096, memory: 8192 } };

let world: LoopbackWorld;
let scene: FlowScene<LoopbackWorld>;
let ecs: ECSClient;
let withNewImage: string;
/** Processes that started a run, by the id that they have towards AWS. */
const starters: string[] = [];
/** What shall happen to the next process that registers a definition. */
let fault: CallFault | undefined;
/** What shall happen before the next run is started. */
let beforeStart: (() => Promise<void>) | undefined;

beforeAll(async () => {
  const assembly = cloudAssembly();
  withNewImage = cloudAssembly({ agentImage: 'example.com/baton-agent:2' });
  const folder = sceneFolder();
  world = await openAwsOnLoopback({ assembly, dataDir: join(folder, 'data'), timings: quickTimings, dieAt });
  scene = sceneIn(folder, () => world, PATIENCE_MS);
  world.listen((event) => scene.events.push(event));
  const credentials = { accessKeyId: 'loopback', secretAccessKey: 'loopback' };
  ecs = new ECSClient({ endpoint: world.url, region: 'us-east-1', credentials });
}, PREPARING_MAX_MS);
afterAll(async () => {
  ecs.destroy();
  await scene.close();
});

async function dieAt({ name, caller }: AwsCall): Promise<CallFault | undefined> {
  if (name === 'ecs.RunTask') {
    starters.push(caller);
    const now = beforeStart;
    beforeStart = undefined;
    await now?.();
  }
  if (name !== 'ecs.RegisterTaskDefinition') return undefined;
  const now = fault;
  fault = undefined;
  return now;
}

/** What ECS says that a run was started from, and on. */
async function startedFrom(userId: string): Promise<unknown[]> {
  const taskId = await scene.submit('true', { userId });
  expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  const { detail } = scene.events.find(
    ({ source, detail: it }) => source === 'aws.ecs' && JSON.stringify(it).includes(`/${taskId}/`),
  ) as { detail: { taskDefinitionArn: string; containers: { image: string }[]; capacityProviderName?: string } };
  const { taskDefinitionArn, containers, capacityProviderName } = detail;
  return [taskDefinitionArn.split('/').at(-1), containers[0]?.image, capacityProviderName];
}

const registrations = (): number => world.calls()[STARTER]?.['ecs.RegisterTaskDefinition'] ?? 0;
const described = async (taskDefinition: string) => {
  const { taskDefinition: known, tags = [] } = await ecs.send(
    new DescribeTaskDefinitionCommand({ taskDefinition, include: ['TAGS'] }),
  );
  return { ...known, tags: Object.fromEntries(tags.map(({ key = '', value }) => [key, value])) };
};

describe('task definitions of a deployment', () => {
  // T3, T5
  it('count as they were deployed last, with functions that stayed warm and of which nothing changed', async () => {
    expect(await startedFrom('bob')).toEqual([`${BASE}:1`, 'example.com/baton-agent:1', undefined]);
    await world.deploy(withNewImage);
    expect(await startedFrom('bob')).toEqual([`${BASE}:2`, 'example.com/baton-agent:2', undefined]);
    expect(starters).toHaveLength(2);
    expect(starters[1]).toBe(starters[0]);
  });

  // T1, T4
  it('are cloned for users once, into a family of their own, though a function dies when it has registered', async () => {
    await configure(scene, { isolation: 'per-user', users: { ada: ADA }, capacity: 'spot-first' });
    fault = 'after';
    expect(await startedFrom('ada')).toEqual([`${CLONES}:1`, 'example.com/baton-agent:2', 'FARGATE_SPOT']);
    expect(fault).toBeUndefined();
    expect(await startedFrom('ada')).toEqual([`${CLONES}:1`, 'example.com/baton-agent:2', 'FARGATE_SPOT']);
    expect(registrations()).toBe(1);

    const clone = await described(CLONES);
    expect(clone).toMatchObject({
      revision: 1,
      cpu: '4096',
      memory: '8192',
      tags: { 'baton:stage': 'loopback', 'baton:user': 'ada' },
    });
    expect(clone.tags).not.toHaveProperty(BASE_MARKER);
    // Written by deployments alone.
    expect(await described(BASE)).toMatchObject({ revision: 2, cpu: '2048', tags: { [BASE_MARKER]: 'loopback' } });
  });

  // T9
  it('that somebody puts away are registered anew', async () => {
    const { taskDefinitionArn } = await described(CLONES);
    await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: taskDefinitionArn }));
    expect(await startedFrom('ada')).toEqual([`${CLONES}:2`, 'example.com/baton-agent:2', 'FARGATE_SPOT']);
    expect(registrations()).toBe(2);
  });

  // T3, T8
  it('are cloned anew from a new base', async () => {
    await world.deploy(cloudAssembly());
    expect(await startedFrom('ada')).toEqual([`${CLONES}:3`, 'example.com/baton-agent:1', 'FARGATE_SPOT']);
    // Runs that were decided with the clone before may still be starting.
    const { taskDefinitionArns = [] } = await ecs.send(new ListTaskDefinitionsCommand({ familyPrefix: CLONES }));
    expect(taskDefinitionArns.map((arn) => arn.split('/').at(-1))).toEqual([`${CLONES}:2`, `${CLONES}:3`]);
  });

  // T7
  it('that somebody else wrote on top of the base are used for nobody, and deploying what stands does not mend it', async () => {
    const { containerDefinitions } = await described(BASE);
    const { taskDefinition } = await ecs.send(
      new RegisterTaskDefinitionCommand({ family: BASE, containerDefinitions }),
    );
    await world.deploy(cloudAssembly());
    const taskId = await scene.submit('true', { userId: 'ada' });
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'definition_refused' } });
    expect(task.reason?.message).toContain(taskDefinition?.taskDefinitionArn);
    expect(registrations()).toBe(3);
    // What the runbook says.
    await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: taskDefinition?.taskDefinitionArn }));
    expect(await startedFrom('ada')).toEqual([`${CLONES}:3`, 'example.com/baton-agent:1', 'FARGATE_SPOT']);
  });

  // T5
  it('that are put away between the decision and the start cost one attempt; the next starts from the new base', async () => {
    await configure(scene, { isolation: 'shared' });
    const { taskDefinitionArn: old } = await described(BASE);
    beforeStart = () => world.deploy(withNewImage);
    const taskId = await scene.submit('true', { userId: 'bob' });
    const task = await scene.settled(taskId);
    const { taskDefinitionArn: base } = await described(BASE);
    expect(base).not.toBe(old);
    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2, run: { definition: base } });
    const lost = scene.events.find(
      ({ 'detail-type': type, detail }) => type === 'RunLost' && JSON.stringify(detail).includes(taskId),
    );
    expect(lost?.detail).toMatchObject({
      metadata: { attempt: 1 },
      data: { reason: { code: 'start_refused', message: expect.stringContaining('TaskDefinition is inactive') } },
    });
  });
});

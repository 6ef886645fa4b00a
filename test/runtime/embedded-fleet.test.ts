import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AutoScalingClient,
  DescribeAutoScalingInstancesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { GetCommandInvocationCommand, SendCommandCommand, SSMClient } from '@aws-sdk/client-ssm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { worldClient } from '../../cli/world-client.ts';
import { openWorld, type World, type WorldOptions } from '../../runtime/embedded-world.ts';
import { runDirOf } from '../../runtime/engine/run-keeping.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { onLinux } from '../agent/host-scene.ts';
import { aReport, aTaskId } from '../builders.ts';
import { eventually, quickTimings } from '../flows/scene.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { written } from '../written.ts';
import { clientConfig } from './aws/wire.ts';

let folder: string;
const open: { close(): unknown }[] = [];
beforeEach(() => {
  folder = sceneFolder();
});
afterEach(async () => {
  await Promise.allSettled(open.splice(0).map((one) => one.close()));
  await putAway(folder);
});

interface Seen {
  readonly world: World;
  readonly events: Envelope[];
  /** Ids of the workers in service. */
  ready(count: number): Promise<string[]>;
  replace(worker: string): Promise<void>;
  /** Sends a run by AWS's own client. */
  send(worker: string, taskId: string): Promise<string>;
  status(worker: string, command: string): Promise<string | undefined>;
}

/** The runner does what a file in the folder of the scene says, in words of the shell. */
async function aWorld(options: Partial<WorldOptions> = {}): Promise<Seen> {
  const events: Envelope[] = [];
  const world = await openWorld({
    dataDir: join(folder, 'data'),
    timings: quickTimings,
    runnerCommand: ['/bin/sh', join(folder, 'runner.sh')],
    ...options,
  });
  world.listen((event) => events.push(event));
  const client = new SSMClient(clientConfig(world.url));
  const scaling = new AutoScalingClient(clientConfig(world.url));
  open.push({ close: () => client.destroy() }, { close: () => scaling.destroy() }, world);
  return {
    world,
    events,
    ready: (count) =>
      eventually(async () => {
        const { AutoScalingInstances: all = [] } = await scaling.send(new DescribeAutoScalingInstancesCommand({}));
        const ids = all.flatMap(({ InstanceId: id, LifecycleState: state }) =>
          id && state === 'InService' ? [id] : [],
        );
        return ids.length >= count ? ids : undefined;
      }, `${count} workers`),
    async replace(worker) {
      const input = { InstanceId: worker, ShouldDecrementDesiredCapacity: false };
      await scaling.send(new TerminateInstanceInAutoScalingGroupCommand(input));
    },
    async send(worker, taskId) {
      const parameters = { action: 'run', taskId, attempt: '1', payload: payloadOf(taskId), executionTimeout: '600' };
      const { Command } = await client.send(
        new SendCommandCommand({
          InstanceIds: [worker],
          DocumentName: 'baton-run',
          Comment: `${taskId}/1`,
          Parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
        }),
      );
      return Command?.CommandId ?? '';
    },
    status: async (worker, command) =>
      (await client.send(new GetCommandInvocationCommand({ InstanceId: worker, CommandId: command }))).Status,
  };
}

const payloadOf = (taskId: string): string => `${taskId}.${'A'.repeat(43)}`;
const dataOf = (detail: unknown): Record<string, string> => (detail as { data: Record<string, string> }).data;
/** The event of this type about a worker that is none of these. */
const typed = ({ events }: Seen, wanted: string, others: readonly string[]): Envelope | undefined =>
  events.find(({ 'detail-type': type, detail }) => type === wanted && !others.includes(dataOf(detail)['worker'] ?? ''));
const runnerDoes = (script: string): void => writeFileSync(join(folder, 'runner.sh'), script);
const beside = (name: string): string | undefined => written(join(folder, name));
const saysOf = ({ events }: Seen, command: string): unknown[] =>
  events.flatMap(({ detail }) => {
    const { 'command-id': id, status } = detail as Record<string, unknown>;
    return id === command ? [status] : [];
  });

onLinux('the fleet of an embedded world', () => {
  it('has two workers, and makes another for each that ends, which says so on its bus', async () => {
    const seen = await aWorld();
    const workers = await seen.ready(2);
    expect(new Set(workers).size).toBe(2);
    await seen.replace(workers[0] ?? '');
    const said = await eventually(() => typed(seen, 'WorkerRegistered', workers), 'the word of another');
    expect(said).toMatchObject({ source: 'baton.agent', detail: { data: { fleet: 'main' } } });
    expect(await seen.ready(2)).toContain(dataOf(said.detail)['worker']);
  });

  it("runs what AWS's client sends with the way to this world, and the secret of its payload that no command carries", async () => {
    const seen = await aWorld();
    const [worker = ''] = await seen.ready(1);
    runnerDoes(`env > '${folder}/env'; echo hello`);
    const taskId = aTaskId();
    const command = await seen.send(worker, taskId);
    await eventually(() => saysOf(seen, command).includes('Success') || undefined, 'its end');
    expect(saysOf(seen, command)).toEqual(['InProgress', 'Success']);
    expect(await seen.status(worker, command)).toBe('Success');
    expect(beside('env')?.split('\n')).toEqual(
      expect.arrayContaining([
        `BATON_NATIVE_ID=${worker}/${taskId}/1`,
        `BATON_WORLD_FILE=${join(folder, 'data', 'world.json')}`,
        expect.stringMatching(/^BATON_PAYLOAD_SECRET=[\w-]{43}$/),
      ]),
    );
    const dir = runDirOf(join(folder, 'data', 'runs'), taskId, 1);
    expect(readFileSync(join(dir, 'agent.log'), 'utf8')).toBe('hello\n');
  });

  it('takes the report that a run left because the world could not be reached', async () => {
    const seen = await aWorld();
    const [worker = ''] = await seen.ready(1);
    const taskId = aTaskId();
    const { runs } = seen.world.engine.ports;
    await runs.open(taskId, 1);
    await runs.claim({ taskId, attempt: 1, nativeId: `${worker}/${taskId}/1` });
    writeFileSync(join(folder, 'left.json'), JSON.stringify(aReport()));
    runnerDoes(`cp '${folder}/left.json' "$BATON_RUN_DIR/report.json"; exit 69`);
    const command = await seen.send(worker, taskId);
    await eventually(() => saysOf(seen, command).includes('Failed') || undefined, 'its end');
    expect((await runs.get(taskId, 1))?.report).toEqual(aReport());
  });

  it('goes on while the world is away, and tells the next one how its runs have ended', async () => {
    const seen = await aWorld();
    const workers = await seen.ready(2);
    const worker = workers[0] ?? '';
    runnerDoes(
      `echo begun > '${folder}/begun'; until [ -e '${folder}/go' ]; do sleep 0.05; done; echo done > '${folder}/done'; exit 3`,
    );
    const command = await seen.send(worker, aTaskId());
    await eventually(() => beside('begun'), 'its beginning');
    await seen.world.close();
    writeFileSync(join(folder, 'go'), '');
    await eventually(() => beside('done'), 'its end');
    const next = await aWorld();
    await eventually(async () => (await next.status(worker, command)) === 'Failed' || undefined, 'the word of it');
    expect(next.events.filter(({ 'detail-type': type }) => type === 'WorkerRegistered')).toEqual([]);
  });

  it('can be of another size, and have boots that fail', async () => {
    const seen = await aWorld({ fleet: { capacity: 1, failBoot: () => 'the image cannot be pulled' } });
    const workers = await seen.ready(1);
    await seen.replace(workers[0] ?? '');
    const said = await eventually(() => typed(seen, 'WorkerBootFailed', workers), 'the word of it');
    expect(dataOf(said.detail)).toMatchObject({ fleet: 'main', message: 'the image cannot be pulled' });
  });
});

describe('a machine that can have no workers', () => {
  it('has a world without them, which says so by its back ends, and boots none in vain', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = folder;
    try {
      const { world, events } = await aWorld();
      const client = worldClient(world.url);
      expect(await client.facts()).toMatchObject({ computes: ['ecs', 'agentcore'] });
      expect(await client.workers()).toEqual([]);
      expect(events).toEqual([]);
      const task = { repository: folder, prompt: 'x', compute: 'ec2' } as const;
      await expect(client.submit(task)).rejects.toThrow('this deployment has no "ec2"');
    } finally {
      process.env['PATH'] = path;
    }
  });
});

import { join } from 'node:path';
import {
  AutoScalingClient,
  DescribeAutoScalingInstancesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { afterEach, expect, it } from '@jest/globals';
import type { WorldOptions } from '../../runtime/embedded-world.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import { onLinux } from '../agent/host-scene.ts';
import { clientConfig } from '../runtime/aws/wire.ts';
import { written } from '../written.ts';
import { eventually, openScene, quickTimings, type Scene } from './scene.ts';

/** The script of a host takes its time: every step of it is a process. */
const timings = { ...quickTimings, STOP_PROOF_S: 90, EXIT_GRACE_S: 30 };

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function aScene(fleet: NonNullable<WorldOptions['fleet']> = {}) {
  const scene = await openScene({ timings, fleet });
  // Between two calls the world may close a connection that nobody uses.
  const client = new AutoScalingClient({ ...clientConfig(scene.world.url), maxAttempts: 3 });
  open.push(scene, { close: () => client.destroy() });
  return {
    scene,
    /** Has a machine replaced, as whoever looks after the group may do. */
    take: (InstanceId: string) =>
      client.send(
        new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: false }),
      ),
    machines: async () => {
      const { AutoScalingInstances: all = [] } = await client.send(new DescribeAutoScalingInstancesCommand({}));
      return all;
    },
  };
}

const workerOf = ({ run }: TaskView): string => run?.nativeId?.split('/')[0] ?? '';
const typed = (scene: Scene, type: string) => scene.events.filter((event) => event['detail-type'] === type);

onLinux('a machine of a fleet', () => {
  it('is kept while it works, and goes when its run has saved its work, which goes on on another', async () => {
    const { scene, take, machines } = await aScene();
    const half = join(scene.folder, 'half');
    const command = `if [ -e first.txt ]; then echo b > second.txt; else echo a > first.txt; echo half > ${half}; sleep 300; fi`;
    const taskId = await scene.submit(command, { compute: 'ec2' });
    await eventually(() => written(half), 'half of the work');
    const worker = workerOf(await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run'));
    expect((await machines()).find(({ InstanceId }) => InstanceId === worker)).toMatchObject({
      ...{ LifecycleState: 'InService', ProtectedFromScaleIn: true },
    });
    await take(worker);
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(workerOf(task)).not.toBe(worker);
    expect(scene.inRemote('show', `baton/${taskId}:second.txt`)).toBe('b');
    const others = await eventually(async () => {
      const all = await machines();
      return all.length === 2 && all.every(({ LifecycleState }) => LifecycleState === 'InService') ? all : undefined;
    }, 'another machine, and the end of the first');
    expect(others.map(({ InstanceId }) => InstanceId)).not.toContain(worker);
    expect(others.some(({ ProtectedFromScaleIn }) => ProtectedFromScaleIn)).toBe(false);
    // It left in order: nobody need be told.
    expect(typed(scene, 'WorkerQuarantined')).toEqual([]);
  });

  // B21
  it('whose boot failed is replaced, and tasks wait for the other', async () => {
    let boots = 0;
    const failBoot = () => (boots++ === 0 ? 'line 9: the image cannot be pulled' : undefined);
    const { scene } = await aScene({ capacity: 1, failBoot });
    const taskId = await scene.submit('echo x > x', { compute: 'ec2' });
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(typed(scene, 'WorkerQuarantined')).toMatchObject([
      { detail: { data: { reason: { code: 'boot_failed', message: 'line 9: the image cannot be pulled' } } } },
    ]);
    expect(boots).toBe(2);
  });
});

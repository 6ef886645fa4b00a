import { AutoScalingClient, TerminateInstanceInAutoScalingGroupCommand } from '@aws-sdk/client-auto-scaling';
import { afterEach, expect, it } from '@jest/globals';
import { worldClient } from '../../cli/world-client.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import { onLinux } from '../agent/host-scene.ts';
import { clientConfig } from '../runtime/aws/wire.ts';
import { eventually, openScene, quickTimings } from './scene.ts';

/** The script of a host takes its time: every step of it is a process. */
const timings = { ...quickTimings, STOP_PROOF_S: 90, EXIT_GRACE_S: 30 };

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const workerOf = ({ run }: TaskView): string => run?.nativeId?.split('/')[0] ?? '';

onLinux('a fleet that becomes smaller', () => {
  it('lets an idle machine go, and tasks take turns on the rest', async () => {
    const scene = await openScene({ timings, fleetMinSize: 1 });
    const client = worldClient(scene.world.url);
    const scaling = new AutoScalingClient(clientConfig(scene.world.url));
    open.push(scene, { close: () => scaling.destroy() });
    /** Ids of the workers, once all of the fleet are these many, and idle. */
    const idle = (count: number): Promise<string[]> =>
      eventually(async () => {
        const all = await client.workers();
        const isIdle = all.length === count && all.every(({ state, leaving }) => state === 'idle' && !leaving);
        return isIdle ? all.map(({ worker }) => worker) : undefined;
      }, `${count} idle workers and no other`);

    const [one = '', rest = ''] = await idle(2);
    await scaling.send(
      new TerminateInstanceInAutoScalingGroupCommand({ InstanceId: one, ShouldDecrementDesiredCapacity: true }),
    );
    expect(await idle(1)).toEqual([rest]);
    const first = await scene.submit('sleep 300', { compute: 'ec2' });
    await scene.until(first, ({ status }) => status === 'RUNNING', 'to run');
    const second = await scene.submit('true', { compute: 'ec2' });
    const waits = await scene.until(second, ({ waiting }) => waiting !== undefined, 'to wait');
    expect(waits).toMatchObject({
      slot: 'fleet:main',
      waiting: { position: 1, limit: 1, holders: [{ taskId: first }] },
    });
    await scene.world.cancel(first);
    const ends = await Promise.all([scene.settled(first), scene.settled(second)]);
    expect(ends.map((end) => [end.status, workerOf(end)])).toEqual([
      ['CANCELLED', rest],
      ['COMPLETED', rest],
    ]);
  });
});

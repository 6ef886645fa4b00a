import { beforeEach, describe, expect, it } from '@jest/globals';
import { workerBootFailed } from '../../events/worker-boot-failed.ts';
import { excludeWorker } from '../../handlers/exclude-worker.ts';
import { aFleetScene, native, workerNo } from './fleet-scene.ts';
import { typesOf } from './scene.ts';

type Scene = Awaited<ReturnType<typeof aFleetScene>>;
let scene: Scene;
beforeEach(async () => {
  scene = await aFleetScene();
});

const failedBoot = (worker: string) => {
  const { type, source } = workerBootFailed;
  const data = { fleet: 'main', worker, message: 'line 7: docker pull' };
  return native(source, type, { metadata: { id: `w-${worker}`, correlationId: `w-${worker}` }, data });
};

describe('a machine of a fleet', () => {
  it('of which another says that its boot failed stays in', async () => {
    expect(await scene.deliver(excludeWorker, failedBoot(workerNo(0)))).toEqual([]);
    expect(await scene.stateOf()).toBe('idle');
    scene.scaling.fleets.set(workerNo(6), 'others');
    expect(await scene.deliver(excludeWorker, failedBoot(workerNo(6)))).toEqual([]);
    expect(await scene.workers.get(workerNo(6))).toBeUndefined();
    expect(scene.ignored).toEqual(['worker_is_ready', 'machine_is_not_of_the_fleet']);
  });

  it('that could not be made ready is out although whoever took it out died before that was said', async () => {
    const told = () => Promise.reject(new Error('the table is away'));
    const instead = { workers: { ...scene.workers, told } };
    await expect(scene.deliver(excludeWorker, failedBoot(workerNo(5)), { instead })).rejects.toThrow('away');
    expect(typesOf(await scene.deliver(excludeWorker, failedBoot(workerNo(5)), { tries: 2 }))).toEqual([
      'WorkerQuarantined',
    ]);
  });

  it('that could not be made ready is out, and that is said', async () => {
    const [told] = await scene.deliver(excludeWorker, failedBoot(workerNo(5)));
    expect(told).toMatchObject({
      'detail-type': 'WorkerQuarantined',
      detail: { data: { worker: workerNo(5), reason: { code: 'boot_failed', message: 'line 7: docker pull' } } },
    });
    expect(await scene.workers.capacityOf('main')).toBe(1);
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { workerRegistered } from '../../events/worker-registered.ts';
import { registerWorker } from '../../handlers/register-worker.ts';
import { because } from '../../schemas/reason.ts';
import { aTaskId } from '../builders.ts';
import { aFleetScene, native, workerNo } from './fleet-scene.ts';

type Scene = Awaited<ReturnType<typeof aFleetScene>>;
let scene: Scene;
beforeEach(async () => {
  scene = await aFleetScene();
});

const readyEvent = (worker: string) => {
  const { type, source } = workerRegistered;
  return native(source, type, {
    metadata: { id: `w-${worker}`, correlationId: `w-${worker}` },
    data: { fleet: 'main', worker },
  });
};

describe('a machine of a fleet', () => {
  it('that is ready takes its place, and wakes who waits for one', async () => {
    scene = await aFleetScene({ workers: 0 });
    const options = { priority: 0, cause: { id: 'c', type: 'Test' }, correlationId: 'c' };
    expect(await scene.slots.take('fleet:main', `${aTaskId()}#1`, options)).toMatchObject({ answer: 'waiting' });
    await scene.hydrated();
    const told = await scene.thrice(registerWorker, readyEvent(workerNo(0)));
    expect(told[0]).toEqual(['SlotGranted']);
    expect(await scene.workers.capacityOf('main')).toBe(1);
    expect(scene.scaling.calls).toContain(`launch ${workerNo(0)} of main`);
  });

  // Who has the role of one machine could say this of any other.
  it.each([
    ['of another fleet', (all: Scene['scaling']) => all.fleets.set(workerNo(3), 'others')],
    ['of no fleet', (all: Scene['scaling']) => all.gone.add(workerNo(3))],
  ])('that is said to be ready, and is one %s, gets no place', async (_, stands) => {
    stands(scene.scaling);
    expect(await scene.deliver(registerWorker, readyEvent(workerNo(3)))).toEqual([]);
    expect(scene.ignored).toEqual(['machine_is_not_of_the_fleet']);
    expect(await scene.workers.get(workerNo(3))).toBeUndefined();
    expect(scene.scaling.calls).toEqual([]);
  });

  it('that is out of its fleet stays out, and its launch is not answered', async () => {
    await scene.workers.bootFailed({ worker: workerNo(3), fleet: 'main' }, because('boot_failed', 'line 7'));
    expect(await scene.deliver(registerWorker, readyEvent(workerNo(3)))).toEqual([]);
    expect(scene.scaling.calls).toEqual([]);
    expect(await scene.workers.capacityOf('main')).toBe(1);
  });

  it('whose launch could not be answered says again that it is ready', async () => {
    scene.scaling.failNext('proceed', new Error('throttled'));
    await expect(scene.deliver(registerWorker, readyEvent(workerNo(3)))).rejects.toThrow('throttled');
    await scene.deliver(registerWorker, readyEvent(workerNo(3)));
    expect(scene.scaling.calls).toEqual(Array.from({ length: 2 }, () => `launch ${workerNo(3)} of main`));
    expect(await scene.workers.capacityOf('main')).toBe(2);
  });
});

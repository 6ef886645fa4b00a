import { beforeEach, describe, expect, it } from '@jest/globals';
import { replaceWorker } from '../../handlers/replace-worker.ts';
import { because } from '../../schemas/reason.ts';
import { aFleetScene, workerNo } from './fleet-scene.ts';

type Scene = Awaited<ReturnType<typeof aFleetScene>>;
let scene: Scene;
beforeEach(async () => {
  scene = await aFleetScene();
});

describe('a machine of a fleet', () => {
  it('that nobody can prove clean is replaced', async () => {
    const { owner } = await scene.starting();
    await scene.workers.quarantine(workerNo(0), because('end_unproven', 'Something is left.'), owner);
    const [out] = (await scene.workers.told(workerNo(0), { cause: { id: 'c', type: 'Test' }, correlationId: 'c' }))
      .events;
    if (!out) throw new Error('nothing was said');
    expect(await scene.deliver(replaceWorker, out)).toEqual([]);
    expect(scene.scaling.calls).toContain(`replace ${workerNo(0)}`);
    expect(await scene.slot('fleet:main')).toMatchObject({ limit: 0 });
  });
});

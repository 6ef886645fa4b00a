import { beforeEach, describe, expect, it } from '@jest/globals';
import { noteMachine } from '../../handlers/note-machine.ts';
import { aFleetScene, hookEvent, workerNo } from './fleet-scene.ts';

type Scene = Awaited<ReturnType<typeof aFleetScene>>;
let scene: Scene;
beforeEach(async () => {
  scene = await aFleetScene();
});

describe('a machine that its group has made', () => {
  it('boots, and is no place of its fleet yet', async () => {
    expect((await scene.thrice(noteMachine, hookEvent('launch', workerNo(3)))).flat()).toEqual([]);
    expect(await scene.workers.get(workerNo(3))).toMatchObject({ state: 'booting', fleet: 'main' });
    expect(await scene.workers.capacityOf('main')).toBe(1);
    expect(scene.ignored).toEqual(['machine_boots', 'machine_is_known', 'machine_is_known']);
    // Its own word answers the launch.
    expect(scene.scaling.calls).toEqual([]);
  });

  it('and that was said to be ready before this came, stays so', async () => {
    await scene.deliver(noteMachine, hookEvent('launch'));
    expect(await scene.stateOf()).toBe('idle');
  });

  it.each(['baton-fleet-main', 'baton-other-fleet-main', 'baton-test-fleet-others'])(
    'of a group of others (%s) is nothing to us',
    async (group) => {
      await scene.deliver(noteMachine, hookEvent('launch', workerNo(3), group));
      expect(await scene.workers.get(workerNo(3))).toBeUndefined();
      expect(scene.ignored).toEqual(['group_of_no_fleet']);
    },
  );
});

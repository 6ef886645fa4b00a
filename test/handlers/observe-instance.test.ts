import { beforeEach, describe, expect, it } from '@jest/globals';
import { observeInstance } from '../../handlers/observe-instance.ts';
import { aTaskId } from '../builders.ts';
import { aFleetScene, native, workerNo } from './fleet-scene.ts';

type Scene = Awaited<ReturnType<typeof aFleetScene>>;
let scene: Scene;
beforeEach(async () => {
  scene = await aFleetScene();
});
const taskNow = async (taskId = aTaskId()) => {
  const task = await scene.task(taskId);
  if (!task) throw new Error(`no task ${taskId}`);
  return task;
};
const machine = (state: string, id = workerNo(0)) =>
  native('aws.ec2', 'EC2 Instance State-change Notification', { 'instance-id': id, state });

describe('a machine of a fleet', () => {
  it.each(['shutting-down', 'stopping'])(
    'that is %s has its run stopped, which goes on until it is gone',
    async (state) => {
      await scene.starting();
      expect((await scene.thrice(observeInstance, machine(state))).flat()).toEqual(['RunStopRequested']);
      expect(await taskNow()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'host_lost' } });
      expect(await scene.stateOf()).toBe('dispatched');
      await scene.deliver(observeInstance, machine('terminated'));
      expect(await taskNow()).toMatchObject({ run: { ended: { proof: 'proven' } } });
      expect(await scene.stateOf()).toBe('gone');
    },
  );

  it.each(['terminated', 'stopped'])('that is %s ends its run, and the task tries again', async (state) => {
    await scene.starting();
    const told = await scene.thrice(observeInstance, machine(state));
    expect(told.flat()).toEqual(['RunEnded']);
    expect(await taskNow()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'host_lost' } });
    expect(await scene.stateOf()).toBe('gone');
  });

  it('that is gone takes its place along, so that nobody is let in for it', async () => {
    scene = await aFleetScene({ workers: 2 });
    const options = { priority: 0, cause: { id: 'c', type: 'Test' }, correlationId: 'c' };
    await scene.slots.take('fleet:main', `${aTaskId()}#1`, options);
    expect(await scene.slot('fleet:main')).toMatchObject({ limit: 2 });
    await scene.deliver(observeInstance, machine('terminated', workerNo(1)));
    expect(await scene.slot('fleet:main')).toMatchObject({ limit: 1 });
    expect(scene.ignored).toEqual(['nothing_to_be_said_of_a_run']);
  });
});

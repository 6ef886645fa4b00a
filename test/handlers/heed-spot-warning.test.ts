import { beforeEach, describe, expect, it } from '@jest/globals';
import { heedSpotWarning } from '../../handlers/heed-spot-warning.ts';
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
const spotWarning = native('aws.ec2', 'EC2 Spot Instance Interruption Warning', {
  'instance-id': workerNo(0),
  'instance-action': 'terminate',
});

describe('a machine of a fleet', () => {
  it('that will be taken back soon has its run stopped, which is not its end', async () => {
    await scene.starting();
    const told = await scene.thrice(heedSpotWarning, spotWarning);
    expect(told.flat()).toEqual(['RunStopRequested']);
    const task = await taskNow();
    expect(task).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'spot_interrupted' } });
    expect(task).not.toHaveProperty('run.ended');
    await scene.deliver(observeInstance, machine('terminated'));
    expect(await taskNow()).toMatchObject({ run: { ended: { proof: 'proven' } } });
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { observeRunCommand } from '../../handlers/observe-run-command.ts';
import { stopRunOnEc2 } from '../../handlers/stop-run-on-ec2.ts';
import { HOST_EXIT } from '../../schemas/ssm-command.ts';
import { aTaskId } from '../builders.ts';
import { aFleetScene, commandEvent } from './fleet-scene.ts';
import { typesOf } from './scene.ts';

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

describe('a run on a worker that must end', () => {
  it('is asked to, and asked for its proof; the host’s word ends it', async () => {
    const { commandId } = await scene.starting();
    const [stop] = await scene.deliver(observeRunCommand, commandEvent(commandId, 'TimedOut'));
    if (!stop) throw new Error('no stop was asked for');
    expect(typesOf(await scene.deliver(stopRunOnEc2, stop))).toEqual(['RunStopAnswered']);
    expect(scene.commands.calls.slice(-2)).toEqual([`cancel ${commandId}`, `send end ${aTaskId()}/1`]);
    scene.commands.endAt('c-2');
    expect(typesOf(await scene.deliver(observeRunCommand, commandEvent('c-2', 'Success')))).toContain('RunEnded');
    expect(await taskNow()).toMatchObject({ status: 'STOPPING', run: { ended: { proof: 'proven' } } });
    expect(await scene.stateOf()).toBe('idle');
  });

  it('whose host cannot prove it, takes its worker out', async () => {
    const { commandId } = await scene.starting();
    const [stop] = await scene.deliver(observeRunCommand, commandEvent(commandId, 'TimedOut'));
    if (!stop) throw new Error('no stop was asked for');
    await scene.deliver(stopRunOnEc2, stop);
    scene.commands.set('c-2', 'Failed', HOST_EXIT.unproven);
    const told = await scene.deliver(stopRunOnEc2, stop, { tries: 2 });
    expect(typesOf(told)).toEqual(expect.arrayContaining(['RunStopAnswered', 'WorkerQuarantined']));
    expect(await scene.stateOf()).toBe('quarantined');
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { runCheckRequested } from '../../events/run-check-requested.ts';
import { checkRunOnEc2 } from '../../handlers/check-run-on-ec2.ts';
import { observeRunCommand } from '../../handlers/observe-run-command.ts';
import { anEvent, aTaskId } from '../builders.ts';
import { aFleetScene, commandEvent, workerNo } from './fleet-scene.ts';
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

describe('a run that works on a worker', () => {
  const due = (taskId = aTaskId()) =>
    anEvent(runCheckRequested.of({ compute: 'ec2', startedBy: `baton/test/${taskId}/1`, purpose: 'life' }), {
      taskId,
      attempt: 1,
    });

  // F24: nobody said so.
  it('and whose machine died has ended by the next look, and is tried again', async () => {
    const { commandId } = await scene.starting();
    scene.commands.set(commandId, 'InProgress');
    await scene.deliver(observeRunCommand, commandEvent(commandId, 'InProgress'));
    expect(await taskNow()).toMatchObject({ status: 'RUNNING' });
    expect(await scene.deliver(checkRunOnEc2, due())).toEqual([]);
    scene.scaling.gone.add(workerNo(0));
    expect(typesOf(await scene.deliver(checkRunOnEc2, due()))).toEqual(['RunEnded']);
    expect(await taskNow()).toMatchObject({ run: { ended: { proof: 'proven' } } });
    expect(await scene.stateOf()).toBe('gone');
  });

  it('on a machine that somebody took out of its group goes on', async () => {
    const { commandId } = await scene.starting();
    scene.commands.set(commandId, 'InProgress');
    await scene.deliver(observeRunCommand, commandEvent(commandId, 'InProgress'));
    scene.scaling.detached.add(workerNo(0));
    expect(await scene.deliver(checkRunOnEc2, due())).toEqual([]);
    expect(await taskNow()).toMatchObject({ status: 'RUNNING' });
    expect(await scene.stateOf()).toBe('dispatched');
  });

  it('and has failed, which nobody said, is judged by the next look', async () => {
    const { commandId } = await scene.starting();
    await scene.deliver(observeRunCommand, commandEvent(commandId, 'InProgress'));
    scene.commands.set(commandId, 'Failed', 1);
    expect(typesOf(await scene.deliver(checkRunOnEc2, due()))).toEqual(['RunEnded']);
    expect(await scene.stateOf()).toBe('idle');
  });
});

describe('an overdue run on a worker', () => {
  it('is asked about once, and judged', async () => {
    const { commandId, owner } = await scene.starting();
    scene.commands.set(commandId, 'InProgress');
    const due = anEvent(
      runCheckRequested.of({ compute: 'ec2', startedBy: `baton/test/${owner.taskId}/1`, purpose: 'start' }),
      owner,
    );
    expect(typesOf(await scene.deliver(checkRunOnEc2, due))).toEqual(['RunStarted']);
    expect(scene.commands.calls.filter((call) => call.startsWith('get'))).toHaveLength(1);
    expect(await taskNow()).toMatchObject({ status: 'RUNNING' });
  });
});

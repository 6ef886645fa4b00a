import { beforeEach, describe, expect, it } from '@jest/globals';
import { observeRunCommand } from '../../handlers/observe-run-command.ts';
import { because } from '../../schemas/reason.ts';
import { HOST_EXIT, workerRunId } from '../../schemas/ssm-command.ts';
import { aReport, aRunRecord, aTaskId, at } from '../builders.ts';
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

const raise = (): never => {
  throw new Error('nothing was sent');
};

describe('what Systems Manager says of a run', () => {
  it('moves its task, and gives its worker back when the host is done', async () => {
    const { commandId, owner } = await scene.starting();
    expect(typesOf(await scene.deliver(observeRunCommand, commandEvent(commandId, 'InProgress')))).toEqual([
      'RunStarted',
    ]);
    await scene.hasRun(
      aRunRecord({
        claim: { nativeId: workerRunId({ instanceId: workerNo(0), ...owner }), at: at(0) },
        report: aReport(),
      }),
    );
    scene.commands.set(commandId, 'Success', 0);
    const told = await scene.thrice(observeRunCommand, commandEvent(commandId, 'Success'));
    expect(told[0]).toContain('TaskCompleted');
    expect(told.slice(1).flat()).toEqual([]);
    expect(await taskNow()).toMatchObject({ status: 'COMPLETED', run: { ended: { proof: 'proven', exitCode: 0 } } });
    expect(await scene.stateOf()).toBe('idle');
  });

  it('counts although the delivery that gave the worker back died before it came to the task', async () => {
    const { commandId } = await scene.starting();
    scene.commands.set(commandId, 'Failed', HOST_EXIT.over);
    const decide = () => Promise.reject(new Error('the table is away'));
    const instead = { tasks: { ...scene.tasks, decide } };
    const event = commandEvent(commandId, 'Failed');
    await expect(scene.deliver(observeRunCommand, event, { instead })).rejects.toThrow('away');
    expect(await scene.stateOf()).toBe('idle');
    await scene.deliver(observeRunCommand, event, { tries: 2 });
    expect(await taskNow()).toMatchObject({ status: 'STOPPING', intent: 'lost' });
  });

  it('is known by command, worker and status, whatever id its delivery has', async () => {
    const { commandId } = await scene.starting();
    await scene.deliver(observeRunCommand, commandEvent(commandId, 'InProgress'));
    expect((await taskNow()).history.at(-1)?.cause.id).toBe(`${commandId}#${workerNo(0)}#InProgress`);
  });

  // B17: stop, fence, then retry.

  it.each(['TimedOut', 'Undeliverable', 'Terminated'])(
    'as %s stops the run, and the worker stays with it',
    async (status) => {
      const { commandId } = await scene.starting();
      const told = await scene.deliver(observeRunCommand, commandEvent(commandId, status));
      expect(typesOf(told)).toEqual(['RunStopRequested']);
      expect(await taskNow()).toMatchObject({ status: 'STOPPING', intent: 'lost' });
      expect(await scene.record()).toMatchObject({ noClaim: true });
      expect(await taskNow()).not.toHaveProperty('run.ended');
      expect(await scene.stateOf()).toBe('dispatched');
    },
  );

  it('with something left takes the worker out, and says so each time', async () => {
    const { commandId } = await scene.starting();
    scene.commands.set(commandId, 'Failed', HOST_EXIT.unproven);
    const told = await scene.deliver(observeRunCommand, commandEvent(commandId, 'Failed'));
    expect(typesOf(told)).toEqual(['RunStopRequested', 'WorkerQuarantined']);
    expect(await scene.stateOf()).toBe('quarantined');
  });

  it('with something left is judged, and said of the worker, although the delivery that found it out died', async () => {
    const { commandId } = await scene.starting();
    scene.commands.set(commandId, 'Failed', HOST_EXIT.unproven);
    const event = commandEvent(commandId, 'Failed');
    const decide = () => Promise.reject(new Error('the table is away'));
    const instead = { tasks: { ...scene.tasks, decide } };
    await expect(scene.deliver(observeRunCommand, event, { instead })).rejects.toThrow('away');
    expect(await scene.stateOf()).toBe('quarantined');
    const told = await scene.deliver(observeRunCommand, event, { tries: 2 });
    expect(typesOf(told)).toEqual(['RunStopRequested', 'WorkerQuarantined']);
    expect(await taskNow()).toMatchObject({ status: 'STOPPING', reason: { code: 'end_unproven' } });
  });

  it('of another attempt on a worker that is out says nothing of the one that left something there', async () => {
    const { commandId } = await scene.starting();
    scene.commands.set(commandId, 'Failed', HOST_EXIT.unproven);
    await scene.workers.quarantine(workerNo(0), because('end_unproven', 'Something is left.'));
    const { parameters, instanceId, deliverySeconds } = scene.commands.sent[0] ?? raise();
    const comment = `${aTaskId('green')}/1`;
    const other = scene.commands.foreign({ parameters, instanceId, deliverySeconds, comment });
    const told = await scene.deliver(observeRunCommand, commandEvent(other.commandId, 'Failed'));
    expect(typesOf(told)).toEqual(['WorkerQuarantined']);
    expect(await taskNow()).toMatchObject({ status: 'STARTING' });
  });

  it.each([
    ['of a machine that is none of ours', commandEvent('c-9', 'Success', 'i-0fffffff'), 'of_no_worker'],
    ['in an unknown status', commandEvent('c-1', 'Quiesced'), 'unknown status "Quiesced"'],
    ['of a command that nobody knows', commandEvent('c-9', 'Success'), 'of_no_known_command'],
  ])('%s is ignored, with the reason', async (_, event, reason) => {
    await scene.starting();
    expect(await scene.deliver(observeRunCommand, event)).toEqual([]);
    expect(scene.ignored).toContain(reason);
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { taskCancelRequested } from '../../events/task-cancel-requested.ts';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { closeStop } from '../../handlers/close-stop.ts';
import { observeRunCommand } from '../../handlers/observe-run-command.ts';
import { stopRunOnEc2 } from '../../handlers/stop-run-on-ec2.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { anEvent, aTaskId } from '../builders.ts';
import { trouble } from '../commands-twin.ts';
import { aFleetScene, commandEvent, workerNo } from './fleet-scene.ts';
import { typesOf } from './scene.ts';

type Scene = Awaited<ReturnType<typeof aFleetScene>>;
let scene: Scene;
beforeEach(async () => {
  scene = await aFleetScene();
});

const named = (events: readonly BatonEvent[], type: string): BatonEvent => {
  const found = events.find((event) => event['detail-type'] === type);
  if (!found) throw new Error(`no ${type} in ${typesOf(events).join(', ')}`);
  return found;
};

/** A task on a worker that somebody has cancelled; the request to stop its run. */
async function cancelled(status: 'STARTING' | 'RUNNING'): Promise<{ stop: BatonEvent; commandId: string }> {
  const { commandId } = await scene.starting();
  if (status === 'RUNNING') await scene.deliver(observeRunCommand, commandEvent(commandId, 'InProgress'));
  scene.commands.set(commandId, 'InProgress');
  const { fact, ids } = { fact: taskCancelRequested.of({ taskId: aTaskId() }), ids: { taskId: aTaskId(), attempt: 1 } };
  const told = await scene.deliver(cancelTask, anEvent(fact, ids));
  expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'cancelled' });
  return { stop: named(told, 'RunStopRequested'), commandId };
}

/** The host does what the latest command asks of it, and Systems Manager tells. */
async function hostEnds(): Promise<void> {
  const end = scene.commands.sent.at(-1)?.commandId ?? '';
  scene.commands.endAt(end);
  const told = await scene.deliver(observeRunCommand, commandEvent(end, 'Success'));
  await scene.deliver(closeStop, named(told, 'RunEnded'));
}

// B20, B36, A23
describe('a cancelled task on a worker', () => {
  it.each(['STARTING', 'RUNNING'] as const)(
    'that is %s ends with the proof of its host, and no sooner',
    async (status) => {
      const { stop } = await cancelled(status);
      expect(typesOf(await scene.deliver(stopRunOnEc2, stop))).toEqual(['RunStopAnswered']);
      expect(await scene.stateOf()).toBe('returning');
      expect(await scene.task()).toMatchObject({ status: 'STOPPING' });
      await hostEnds();
      expect(await scene.task()).toMatchObject({ status: 'CANCELLED' });
      expect(await scene.stateOf()).toBe('idle');
    },
  );

  it.each(['gone', 'throttled', 'unavailable', 'denied', 'refused'] as const)(
    'whose command cannot be cancelled (%s) has its host end it all the same, and that is told with its cause',
    async (fault) => {
      const { stop, commandId } = await cancelled('RUNNING');
      scene.commands.failNext('cancel', trouble(fault));
      const told = await scene.deliver(stopRunOnEc2, stop);
      expect(named(told, 'RunStopAnswered')).toMatchObject({ detail: { data: { outcome: 'stopping' } } });
      expect(scene.warnings).toMatchObject([
        { message: expect.stringContaining(commandId), cause: { name: 'CommandTrouble', fault } },
      ]);
      await hostEnds();
      expect(await scene.task()).toMatchObject({ status: 'CANCELLED' });
    },
  );

  it.each([
    ['throttled', 'compute_throttled'],
    ['unavailable', 'compute_unavailable'],
    ['denied', 'compute_denied'],
    ['refused', 'compute_invalid'],
  ] as const)(
    'whose host cannot be asked (%s) keeps its worker, fails aloud, and is asked again',
    async (fault, code) => {
      const { stop } = await cancelled('RUNNING');
      scene.commands.failNext('send', trouble(fault));
      await expect(scene.deliver(stopRunOnEc2, stop)).rejects.toMatchObject({ code });
      expect(await scene.stateOf()).toBe('returning');
      expect(await scene.task()).toMatchObject({ status: 'STOPPING' });
      expect(typesOf(await scene.deliver(stopRunOnEc2, stop, { tries: 2 }))).toEqual(['RunStopAnswered']);
      await hostEnds();
      expect(await scene.task()).toMatchObject({ status: 'CANCELLED' });
      expect(await scene.stateOf()).toBe('idle');
    },
  );

  it('whose machine does not answer waits while there is one, and has ended when it is gone', async () => {
    const { stop } = await cancelled('RUNNING');
    scene.scaling.fleets.set(workerNo(0), 'main');
    scene.commands.failNext('send', trouble('gone'));
    const waits = await scene.deliver(stopRunOnEc2, stop);
    expect(named(waits, 'RunStopAnswered')).toMatchObject({ detail: { data: { outcome: 'stopping' } } });
    scene.scaling.gone.add(workerNo(0));
    scene.commands.failNext('send', trouble('gone'));
    const over = await scene.deliver(stopRunOnEc2, stop, { tries: 2 });
    expect(named(over, 'RunStopAnswered')).toMatchObject({ detail: { data: { outcome: 'already_ended' } } });
    await scene.deliver(closeStop, named(over, 'RunEnded'));
    expect(await scene.task()).toMatchObject({ status: 'CANCELLED' });
    expect(await scene.stateOf()).toBe('gone');
  });
});

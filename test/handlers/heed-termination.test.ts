import { beforeEach, describe, expect, it } from '@jest/globals';
import { heedTermination } from '../../handlers/heed-termination.ts';
import { observeRunCommand } from '../../handlers/observe-run-command.ts';
import { returnWorker } from '../../handlers/return-worker.ts';
import { startRunOnEc2 } from '../../handlers/start-run-on-ec2.ts';
import { stopRunOnEc2 } from '../../handlers/stop-run-on-ec2.ts';
import { HOST_EXIT } from '../../schemas/ssm-command.ts';
import { aTaskId } from '../builders.ts';
import { aFleetScene, commandEvent, hookEvent, workerNo } from './fleet-scene.ts';
import { typesOf } from './scene.ts';

type Scene = Awaited<ReturnType<typeof aFleetScene>>;
let scene: Scene;
beforeEach(async () => {
  scene = await aFleetScene();
});
const leaves = hookEvent('terminate');
const goes = `terminate ${workerNo(0)} of main`;

describe('a machine that its group takes away', () => {
  it('goes at once if nothing is on it, and its place with it', async () => {
    scene = await aFleetScene({ workers: 2 });
    await scene.slots.take('fleet:main', `${aTaskId()}#1`, {
      priority: 0,
      cause: { id: 'c', type: 'Test' },
      correlationId: 'c',
    });
    expect((await scene.thrice(heedTermination, leaves)).flat()).toEqual([]);
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ state: 'quarantined', leaving: {} });
    expect(new Set(scene.scaling.calls)).toEqual(new Set([goes]));
    expect(await scene.slot('fleet:main')).toMatchObject({ limit: 1 });
  });

  it('lets its run save its work, and goes when the host has proven its end', async () => {
    const { commandId } = await scene.starting();
    const told = await scene.thrice(heedTermination, leaves);
    expect(told.flat()).toEqual(['RunStopRequested']);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'host_lost' } });
    expect(scene.scaling.calls).not.toContain(goes);
    scene.commands.set(commandId, 'Failed', 143);
    await scene.deliver(observeRunCommand, commandEvent(commandId, 'Failed'));
    expect(scene.scaling.calls.at(-1)).toBe(goes);
    expect(await scene.stateOf()).toBe('quarantined');
  });

  it('goes as well when the host cannot prove it, and is not replaced once more', async () => {
    const { commandId } = await scene.starting();
    const [stop] = await scene.deliver(heedTermination, leaves);
    if (!stop) throw new Error('no stop was asked for');
    await scene.deliver(stopRunOnEc2, stop);
    scene.commands.set(commandId, 'Failed', HOST_EXIT.unproven);
    const told = await scene.deliver(observeRunCommand, commandEvent(commandId, 'Failed'));
    expect(typesOf(told)).not.toContain('WorkerQuarantined');
    expect(scene.scaling.calls.at(-1)).toBe(goes);
  });

  it('while an attempt has claimed it, goes when the claim is given back', async () => {
    const { event } = await scene.hydrated();
    const start: typeof scene.ec2.start = async (run) => {
      // Between the claim and the command.
      await scene.deliver(heedTermination, leaves);
      expect(scene.scaling.calls).not.toContain(goes);
      return scene.ec2.start(run);
    };
    const told = await scene.deliver(startRunOnEc2, event, { instead: { ec2: { ...scene.ec2, start } } });
    expect(scene.commands.sent).toEqual([]);
    const [ended] = told;
    if (!ended) throw new Error('nothing was said');
    await scene.deliver(returnWorker, ended);
    expect(await scene.stateOf()).toBe('quarantined');
    expect(scene.scaling.calls.at(-1)).toBe(goes);
  });

  it('and that nobody knows goes, and one that is out of its fleet, whatever is left on it', async () => {
    await scene.deliver(heedTermination, hookEvent('terminate', workerNo(7)));
    expect(scene.scaling.calls).toEqual([`terminate ${workerNo(7)} of main`]);
    const { commandId } = await scene.starting();
    scene.commands.set(commandId, 'Failed', HOST_EXIT.unproven);
    await scene.deliver(observeRunCommand, commandEvent(commandId, 'Failed'));
    expect(scene.scaling.calls).not.toContain(goes);
    await scene.deliver(heedTermination, leaves);
    expect(scene.scaling.calls.at(-1)).toBe(goes);
  });

  it('of a group of others is nothing to us', async () => {
    await scene.deliver(heedTermination, hookEvent('terminate', workerNo(0), 'baton-other-fleet-main'));
    expect(scene.ignored).toEqual(['group_of_no_fleet']);
    expect(await scene.stateOf()).toBe('idle');
    expect(scene.scaling.calls).toEqual([]);
  });

  it('whose group could not be told that it may go, has given its worker back all the same', async () => {
    const { commandId } = await scene.starting();
    await scene.deliver(heedTermination, leaves);
    scene.scaling.failNext('proceed', new Error('throttled'));
    scene.commands.set(commandId, 'Failed', 143);
    const told = await scene.deliver(observeRunCommand, commandEvent(commandId, 'Failed'));
    expect(typesOf(told)).toContain('RunEnded');
    expect(scene.warnings).toMatchObject([{ cause: { message: 'throttled' } }]);
  });
});

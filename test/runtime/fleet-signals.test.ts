import { beforeEach, describe, expect, it } from '@jest/globals';
import { awsFleetWaits } from '../../lifecycle/worker.ts';
import { because } from '../../schemas/reason.ts';
import { type Ec2Handle, HOST_EXIT, workerRunId } from '../../schemas/ssm-command.ts';
import { trouble } from '../commands-twin.ts';
import { FLEET, fleetScene, ownerNo, workerNo } from './fleet-scene.ts';

type Scene = Awaited<ReturnType<typeof fleetScene>>;
const { taskId } = ownerNo(0);
const spot = because('spot_interrupted', 'EC2 takes the machine back.');
const lost = because('host_lost', 'The machine was terminated.');

let scene: Scene;
beforeEach(async () => {
  scene = await fleetScene({ workers: 1 });
});
const said = (commandId: string, status: string, instanceId = workerNo(0)) =>
  scene.backend.observeCommand({
    'command-id': commandId,
    'document-name': 'baton-run',
    'instance-id': instanceId,
    status,
  });

/** As a claim has it. */
const isKept = () => scene.scaling.machines.protect({ worker: workerNo(0), fleet: FLEET }, true);

describe('what Systems Manager says of the command of a run', () => {
  it('is known by worker and command, and asks nobody where all went well', async () => {
    const { handle, commandId } = await scene.running();
    const before = scene.twin.calls.length;
    expect(await said(commandId, 'InProgress')).toMatchObject({
      observation: { taskId, attempt: 1, nativeId: workerRunId(handle), handle, phase: 'running', sequence: 3 },
    });
    scene.twin.set(commandId, 'Success', 0);
    expect(await said(commandId, 'Success')).toMatchObject({
      observation: { phase: 'ended', end: { kind: 'exited', exitCode: 0 } },
    });
    expect(await scene.stateOf()).toBe('idle');
    expect(scene.twin.calls).toHaveLength(before);
  });

  it('has no exit code, so a failure asks for it once', async () => {
    const { commandId } = await scene.running();
    scene.twin.set(commandId, 'Failed', 3);
    expect(await said(commandId, 'Failed')).toMatchObject({ observation: { end: { kind: 'exited', exitCode: 3 } } });
    expect(scene.twin.calls.filter((call) => call.startsWith('get'))).toEqual([`get ${commandId}`]);
  });

  it('is said again alike after the worker was given back: the first delivery may not have come further', async () => {
    const { commandId } = await scene.running();
    scene.twin.set(commandId, 'Failed', 3);
    const { observation } = await said(commandId, 'Failed');
    const again = await said(commandId, 'Failed');
    expect(again.observation).toMatchObject({ phase: 'ended', nativeId: observation?.nativeId, end: { exitCode: 3 } });
  });

  it('lets the group have the machine again, where the first delivery has not come so far', async () => {
    for (const [n, again] of [
      async (commandId: string) => said(commandId, 'Failed'),
      // Whoever asks is as good as who is told.
      async (_commandId: string, handle: Ec2Handle) => scene.backend.ask({ startedBy: '', handle }),
    ].entries()) {
      const { handle, commandId } = await scene.running(ownerNo(n));
      await isKept();
      scene.twin.set(commandId, 'Failed', 3);
      scene.scaling.failNext('protect', new Error('the function died'));
      await again(commandId, handle);
      expect(await scene.stateOf()).toBe('idle');
      expect(scene.scaling.isKept(workerNo(0))).toBe(true);
      await again(commandId, handle);
      expect(scene.scaling.isKept(workerNo(0))).toBe(false);
    }
  });

  it('leaves the machine to whoever has it since', async () => {
    const { commandId } = await scene.running();
    scene.twin.set(commandId, 'Failed', 3);
    await said(commandId, 'Failed');
    await scene.running(ownerNo(1));
    await isKept();
    await said(commandId, 'Failed');
    expect(scene.scaling.isKept(workerNo(0))).toBe(true);
    expect(await scene.stateOf()).toBe('dispatched');
  });

  it('is said again with the same reason where the host ended it itself', async () => {
    const { commandId } = await scene.running();
    scene.twin.set(commandId, 'Failed', HOST_EXIT.over);
    const [first, again] = [await said(commandId, 'Failed'), await said(commandId, 'Failed')];
    expect(first.observation?.end?.reason.code).toBe('never_started');
    expect(again.observation?.end?.reason.code).toBe('never_started');
  });

  it('is still known when a claim that came since was given back', async () => {
    const { commandId } = await scene.running();
    scene.twin.set(commandId, 'Failed', 3);
    await said(commandId, 'Failed');
    await scene.claimed(ownerNo(1));
    await scene.backend.giveBack(workerNo(0), ownerNo(1));
    expect(await said(commandId, 'Failed')).toMatchObject({ observation: { taskId, end: { exitCode: 3 } } });
  });

  it('in an order of its own, that later deliveries cannot turn', async () => {
    const { commandId } = await scene.running();
    const ranks: (number | undefined)[] = [];
    for (const status of ['Pending', 'InProgress', 'Cancelling', 'Cancelled']) {
      ranks.push((await said(commandId, status)).observation?.sequence);
    }
    expect(ranks).toEqual([1, 3, 4, 5]);
  });

  it.each(['TimedOut', 'Delivery Timed Out', 'Undeliverable', 'Terminated', 'Cancelled'])(
    'as %s means lost, and the worker stays with its run until the host has proven the end',
    async (status) => {
      const { commandId } = await scene.running();
      expect(await said(commandId, status)).toMatchObject({ observation: { phase: 'lost', end: { kind: 'lost' } } });
      expect(await scene.stateOf()).toBe('dispatched');
    },
  );

  // F29
  it('in a status that is new is told as such, and changes nothing', async () => {
    const { commandId } = await scene.running();
    expect(await said(commandId, 'Quiesced')).toEqual({ remark: 'unknown status "Quiesced"' });
    expect(await scene.stateOf()).toBe('dispatched');
  });

  it('with something left on the worker takes it out of its fleet', async () => {
    const { commandId } = await scene.running();
    scene.twin.set(commandId, 'Failed', HOST_EXIT.unproven);
    expect(await said(commandId, 'Failed')).toMatchObject({ observation: { phase: 'lost' } });
    expect(await scene.stateOf()).toBe('quarantined');
    expect(await scene.workers.capacityOf(FLEET)).toBe(0);
  });
});

describe('a command that the record of its worker does not know', () => {
  it('is looked up once, and taken for the one that is being sent if its comment says so', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable', true), true);
    await expect(scene.backend.start(run)).rejects.toThrow();
    expect(await said('c-1', 'InProgress')).toMatchObject({ observation: { taskId, phase: 'running' } });
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ state: 'dispatched', commandId: 'c-1' });
    await said('c-1', 'InProgress');
    expect(scene.twin.calls.filter((call) => call === 'find c-1')).toHaveLength(1);
    expect(await scene.backend.start(run)).toMatchObject({ outcome: 'started', handle: { commandId: 'c-1' } });
  });

  it.each([
    ['of another attempt', `${taskId}/2`],
    ['of another task', `${ownerNo(3).taskId}/1`],
    ['of somebody else', 'patch the machines'],
    ['without a word', ''],
  ])('%s is never adopted', async (_, comment) => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable'));
    await expect(scene.backend.start(run)).rejects.toThrow();
    const parameters = { action: 'run', taskId, attempt: '1', payload: '-', executionTimeout: '1' };
    const { commandId } = scene.twin.foreign({ instanceId: workerNo(0), comment, deliverySeconds: 60, parameters });
    expect(await said(commandId, 'Success')).toEqual({ remark: 'of_no_known_command' });
    expect(await scene.stateOf()).toBe('dispatching');
  });

  it('and runs the same attempt beside the one that is known, says nothing: the host tells both the same', async () => {
    const { commandId } = await scene.running();
    const [first] = scene.twin.sent;
    if (!first) throw new Error('nothing was sent');
    const second = scene.twin.foreign(first);
    expect(await said(second.commandId, 'Success')).toEqual({ remark: 'of_no_known_command' });
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ state: 'dispatched', commandId });
  });

  it('on a machine that is no worker of ours is none of our business', async () => {
    expect(await said('c-1', 'Success', 'i-0fffffff')).toEqual({ remark: 'of_no_worker' });
    expect(scene.twin.calls).toEqual([]);
  });
});

describe('what Systems Manager says of a command that is to prove an end', () => {
  it('gives the worker back when the host has proven it, whichever command that was', async () => {
    const { handle } = await scene.running();
    scene.twin.set('c-1', 'Cancelling');
    await scene.backend.stop(handle, 'cancelled');
    expect(await said('c-2', 'InProgress')).toEqual({ remark: 'end_is_not_proven' });
    scene.twin.endAt('c-2');
    expect(await said('c-2', 'Success')).toMatchObject({
      observation: { taskId, phase: 'ended', end: { kind: 'stopped' } },
    });
    expect(await scene.stateOf()).toBe('idle');
  });

  it('counts although its id was never stored', async () => {
    const { handle } = await scene.running();
    scene.twin.failNext('send', trouble('unavailable', true), true);
    await expect(scene.backend.stop(handle, 'cancelled')).rejects.toThrow();
    scene.twin.endAt('c-2');
    expect(await said('c-2', 'Success')).toMatchObject({ observation: { phase: 'ended' } });
    expect(await scene.stateOf()).toBe('idle');
  });

  it('that was sent before the latest, takes no try and does not stand in for it', async () => {
    const { handle } = await scene.running();
    await scene.backend.stop(handle, 'cancelled');
    scene.pass(awsFleetWaits.END_PROOF_S + 10);
    await scene.backend.stop(handle, 'cancelled');
    for (const id of ['c-2', 'c-3']) await said(id, 'InProgress');
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ endCommandId: 'c-3', endTries: 2 });
  });

  it.each(['Cancelled', 'TimedOut', 'Undeliverable'])('as %s proves nothing', async (status) => {
    const { handle } = await scene.running();
    await scene.backend.stop(handle, 'cancelled');
    scene.twin.set('c-2', status);
    expect(await said('c-2', status)).toEqual({ remark: 'end_is_not_proven' });
    expect(await scene.stateOf()).toBe('returning');
  });

  it('takes the worker out where the host says that something is left', async () => {
    const { handle } = await scene.running();
    await scene.backend.stop(handle, 'cancelled');
    scene.twin.set('c-2', 'Failed', HOST_EXIT.unproven);
    expect(await said('c-2', 'Failed')).toMatchObject({ observation: { phase: 'lost' } });
    expect(await scene.stateOf()).toBe('quarantined');
  });
});

describe('what EC2 says of a machine', () => {
  // B39
  it('that is gone ends its run, again and again, and takes it out of the fleet', async () => {
    const { handle } = await scene.running();
    const end = { kind: 'lost', reason: lost };
    for (const _ of [1, 2]) {
      expect(await scene.backend.observeLoss(workerNo(0), lost)).toMatchObject({
        observation: { taskId, nativeId: workerRunId(handle), phase: 'ended', end },
      });
    }
    expect(await scene.workers.capacityOf(FLEET)).toBe(0);
  });

  it('that is gone and had no run says nothing of one', async () => {
    expect((await scene.backend.observeLoss(workerNo(0), lost)).observation).toBeUndefined();
    expect(await scene.backend.observeLoss('i-0fffffff', lost)).toEqual({ remark: 'of_no_worker' });
  });

  // F32
  it('that will be taken back soon ends its run in order, which is not over by that, and it gets no new one', async () => {
    const { commandId } = await scene.running();
    for (const _ of [1, 2]) {
      expect(await scene.backend.observeNotice(workerNo(0), spot, true)).toMatchObject({
        observation: { phase: 'lost', end: { reason: spot } },
      });
    }
    expect(await scene.stateOf()).toBe('dispatched');
    scene.twin.set(commandId, 'Success', 0);
    expect(await said(commandId, 'Success')).toMatchObject({ observation: { phase: 'ended', end: { exitCode: 0 } } });
    expect(await scene.stateOf()).toBe('quarantined');
    expect(await scene.workers.claim(FLEET, ownerNo(1))).toBeUndefined();
  });

  it('that will be taken back soon ends a run, too, of which nobody knows whether it was sent', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable', true), true);
    await expect(scene.backend.start(run)).rejects.toThrow();
    expect(await scene.backend.observeNotice(workerNo(0), spot, true)).toMatchObject({
      observation: { phase: 'lost' },
    });
  });

  it('that is to leave in order lets its run go on to its end', async () => {
    await scene.running();
    expect((await scene.backend.observeNotice(workerNo(0), lost, false)).observation).toBeUndefined();
    expect(await scene.stateOf()).toBe('dispatched');
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ leaving: { reason: lost } });
  });
});

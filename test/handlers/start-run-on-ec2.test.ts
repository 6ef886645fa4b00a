import { beforeEach, describe, expect, it } from '@jest/globals';
import { observeRunCommand } from '../../handlers/observe-run-command.ts';
import { startRunOnEc2 } from '../../handlers/start-run-on-ec2.ts';
import { FLEET_DEFAULT } from '../../schemas/worker.ts';
import { aTaskId } from '../builders.ts';
import { trouble } from '../commands-twin.ts';
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

describe('a hydrated task on a fleet', () => {
  it('claims a worker, moves to STARTING with it, and then its run is sent', async () => {
    const { event, owner } = await scene.hydrated();
    expect(await scene.deliver(startRunOnEc2, event)).toEqual([]);
    const handle = { backend: 'ec2', fleet: FLEET_DEFAULT, instanceId: workerNo(0), region: 'eu-west-1', ...owner };
    expect(await taskNow()).toMatchObject({ status: 'STARTING', run: { handle: { ...handle, commandId: 'c-1' } } });
    expect(scene.commands.sent).toMatchObject([{ comment: `${owner.taskId}/1`, instanceId: workerNo(0) }]);
    expect(await scene.stateOf()).toBe('dispatched');
  });

  it('stores its worker before anything is sent', async () => {
    const { event } = await scene.hydrated();
    scene.commands.failNext('send', trouble('unavailable', true), true);
    await expect(scene.deliver(startRunOnEc2, event)).rejects.toMatchObject({ retry: 'soon' });
    expect(await taskNow()).toMatchObject({ status: 'STARTING', run: { handle: { instanceId: workerNo(0) } } });
  });

  it('delivered three times is sent once', async () => {
    const { event } = await scene.hydrated();
    await scene.thrice(startRunOnEc2, event);
    expect(scene.commands.sent).toHaveLength(1);
  });

  it('whose first delivery got no answer, finds its command with the second', async () => {
    const { event } = await scene.hydrated();
    scene.commands.failNext('send', trouble('unavailable', true), true);
    await expect(scene.deliver(startRunOnEc2, event)).rejects.toThrow();
    scene.pass(60);
    await scene.deliver(startRunOnEc2, event, { tries: 2 });
    expect(scene.commands.sent).toHaveLength(1);
    expect(await taskNow()).toMatchObject({ run: { handle: { commandId: 'c-1' } } });
  });

  // B6

  it('without a free worker waits, says so, and asks again: no attempt is used up', async () => {
    await scene.starting('green');
    const { event } = await scene.hydrated('red');
    await scene.deliver(startRunOnEc2, event);
    expect(await taskNow()).toMatchObject({
      status: 'HYDRATED',
      attempt: 1,
      delay: { message: 'No worker of fleet "main" is free.' },
    });
    expect(scene.commands.sent).toHaveLength(1);
  });

  // B4, B7

  it('whose command is refused gives its worker back and is tried again', async () => {
    const { event } = await scene.hydrated();
    scene.commands.failNext('send', trouble('denied'));
    const told = await scene.deliver(startRunOnEc2, event);
    expect(typesOf(told)).toEqual(['RunEnded']);
    expect(await taskNow()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'start_refused' } });
    expect(await scene.stateOf()).toBe('idle');
  });

  it('whose worker is not to be reached says so of the worker too', async () => {
    const { event } = await scene.hydrated();
    scene.commands.failNext('send', trouble('gone'));
    const told = await scene.deliver(startRunOnEc2, event);
    expect(typesOf(told).sort()).toEqual(['RunEnded', 'WorkerQuarantined']);
    expect(await scene.workers.capacityOf(FLEET_DEFAULT)).toBe(0);
  });

  it('whose delivery took the worker out and died before it said so, says so with the next', async () => {
    const { event } = await scene.hydrated();
    scene.commands.failNext('send', trouble('gone'));
    const told = () => Promise.reject(new Error('the table is away'));
    const instead = { workers: { ...scene.workers, told } };
    await expect(scene.deliver(startRunOnEc2, event, { instead })).rejects.toThrow('away');
    expect(await scene.stateOf()).toBe('quarantined');
    expect(typesOf(await scene.deliver(startRunOnEc2, event, { tries: 2 }))).toContain('WorkerQuarantined');
  });

  it('has its machine kept before anything is sent, and let go of when the run has ended', async () => {
    const { commandId } = await scene.starting();
    expect(scene.scaling.calls).toEqual([`keep ${workerNo(0)}`]);
    scene.commands.set(commandId, 'Failed', 1);
    await scene.deliver(observeRunCommand, commandEvent(commandId, 'Failed'));
    expect(await scene.stateOf()).toBe('idle');
    expect(scene.scaling.isKept(workerNo(0))).toBe(false);
  });

  it('does not begin on a machine that is about to be taken away', async () => {
    scene = await aFleetScene({ workers: 2 });
    const { owner } = await scene.hydrated();
    const first = await scene.workers.claim(FLEET_DEFAULT, owner);
    if (first === undefined) throw new Error('no worker is idle');
    await scene.workers.giveBack(first, owner);
    scene.scaling.leaving.add(first);
    const { worker } = await scene.starting();
    expect(worker).not.toBe(first);
    expect(await scene.workers.get(first)).toMatchObject({ state: 'quarantined', leaving: {} });
    expect(scene.scaling.calls).toContain(`terminate ${first} of main`);
  });

  it('waits where all machines are about to be taken away', async () => {
    scene.scaling.leaving.add(workerNo(0));
    const { event } = await scene.hydrated();
    await scene.deliver(startRunOnEc2, event);
    expect(await taskNow()).toMatchObject({ status: 'HYDRATED', delay: {} });
    expect(scene.commands.sent).toEqual([]);
  });

  // B8
  it('of whose machine nobody can say whether it is kept, gives it back and is tried again', async () => {
    const { event } = await scene.hydrated();
    scene.scaling.failNext('protect', new Error('throttled'));
    await expect(scene.deliver(startRunOnEc2, event)).rejects.toThrow('throttled');
    expect(await scene.stateOf()).toBe('idle');
    await scene.deliver(startRunOnEc2, event, { tries: 2 });
    expect(scene.commands.sent).toHaveLength(1);
  });

  // A25

  it('that moved on while its worker was claimed, gives it back at once', async () => {
    const { event, task } = await scene.hydrated();
    const claim: typeof scene.ec2.claim = async (fleet, owner) => {
      const got = await scene.ec2.claim(fleet, owner);
      await scene.has({ ...task, version: task.version + 1 });
      return got;
    };
    await scene.deliver(startRunOnEc2, event, { instead: { ec2: { ...scene.ec2, claim } } });
    expect(await scene.stateOf()).toBe('idle');
    expect(scene.commands.sent).toEqual([]);
    // Before and after: whoever dies in between leaves nobody who would say it.
    expect(scene.scaling.calls).toEqual([`keep ${workerNo(0)}`, ...Array(2).fill(`let go ${workerNo(0)}`)]);
  });

  it('that moved on while no worker was free for it, is not put off', async () => {
    await scene.starting('green');
    const { event, task } = await scene.hydrated('red');
    const moved = { ...task, version: task.version + 1 };
    const claim: typeof scene.ec2.claim = async (fleet, owner) => {
      await scene.has(moved);
      return scene.ec2.claim(fleet, owner);
    };
    expect(await scene.deliver(startRunOnEc2, event, { instead: { ec2: { ...scene.ec2, claim } } })).toEqual([]);
    expect(await taskNow(task.taskId)).toEqual(moved);
  });

  it('that two deliveries start at once keeps one worker, and gives a second back', async () => {
    scene = await aFleetScene({ workers: 2 });
    const { event } = await scene.hydrated();
    let others = 0;
    const claim: typeof scene.ec2.claim = async (fleet, owner) => {
      // The other delivery goes all the way in between.
      if (others++ === 0) await scene.deliver(startRunOnEc2, event);
      return scene.ec2.claim(fleet, owner);
    };
    await scene.deliver(startRunOnEc2, event, { instead: { ec2: { ...scene.ec2, claim } } });
    expect(scene.commands.sent).toHaveLength(1);
    expect([await scene.stateOf(workerNo(0)), await scene.stateOf(workerNo(1))].sort()).toEqual(['dispatched', 'idle']);
  });

  it('asks for a command that outlasts the task', async () => {
    await scene.starting();
    const { deadlineAt, run } = (await taskNow()) as { deadlineAt: string; run: { dispatchedAt: string } };
    const wanted = Number(scene.commands.sent[0]?.parameters.executionTimeout);
    expect(wanted).toBeGreaterThan((Date.parse(deadlineAt) - Date.parse(run.dispatchedAt)) / 1000);
  });
});

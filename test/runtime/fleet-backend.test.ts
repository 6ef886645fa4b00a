import { beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { awsFleetWaits, END_TRIES_MAX } from '../../lifecycle/worker.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { ComputeError } from '../../runtime/errors.ts';
import { WORKER_PAUSE_S } from '../../runtime/fleet-backend.ts';
import { because } from '../../schemas/reason.ts';
import { HOST_EXIT, workerRunId } from '../../schemas/ssm-command.ts';
import { aHandle, at } from '../builders.ts';
import { type commandsTwin, trouble } from '../commands-twin.ts';
import { aRunOn, FLEET, fleetScene, ownerNo, workerNo } from './fleet-scene.ts';

type Scene = Awaited<ReturnType<typeof fleetScene>>;
const { taskId } = ownerNo(0);

let scene: Scene;
beforeEach(async () => {
  scene = await fleetScene();
});
const sends = (twin: ReturnType<typeof commandsTwin>) => twin.calls.filter((call) => call.startsWith('send'));

describe('starting on a claimed worker', () => {
  it('sends one command, which says whose it is, and holds nothing but what the document takes', async () => {
    const run = await scene.claimed();
    const { backend, twin } = scene;
    expect(await backend.start(run)).toEqual({ outcome: 'started', handle: { ...run.worker, commandId: 'c-1' } });
    expect(twin.sent).toMatchObject([
      {
        instanceId: workerNo(0),
        comment: `${taskId}/1`,
        parameters: {
          action: 'run',
          taskId,
          attempt: '1',
          payload: run.environment['BATON_PAYLOAD'],
          executionTimeout: '3600',
        },
      },
    ]);
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ state: 'dispatched', commandId: 'c-1' });
  });

  it('again, and by ten deliveries at once, sends nothing more', async () => {
    const run = await scene.claimed();
    const answers = await Promise.allSettled(Array.from({ length: 10 }, () => scene.backend.start(run)));
    expect(answers.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    for (const answer of answers) {
      if (answer.status === 'rejected')
        expect(answer.reason).toMatchObject({ code: 'compute_unavailable', retry: 'soon' });
    }
    expect(await scene.backend.start(run)).toMatchObject({ outcome: 'started', handle: { commandId: 'c-1' } });
    expect(sends(scene.twin)).toHaveLength(1);
  });

  // F15
  it('whose answer was lost, finds the command by its comment when whoever sent it is over, and sends none', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable', true), true);
    await expect(scene.backend.start(run)).rejects.toMatchObject({ code: 'compute_unavailable' });
    await expect(scene.backend.start(run)).rejects.toMatchObject({ code: 'compute_unavailable' });
    scene.pass(awsFleetWaits.DISPATCH_DOUBT_S);
    expect(await scene.backend.start(run)).toMatchObject({ outcome: 'started', handle: { commandId: 'c-1' } });
    expect(sends(scene.twin)).toHaveLength(1);
  });

  it('which began and sent nothing, is made up for, once', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable'));
    await expect(scene.backend.start(run)).rejects.toMatchObject({ code: 'compute_unavailable' });
    scene.pass(awsFleetWaits.DISPATCH_DOUBT_S);
    const answers = await Promise.allSettled(Array.from({ length: 5 }, () => scene.backend.start(run)));
    expect(answers.filter(({ status }) => status === 'fulfilled')).not.toHaveLength(0);
    expect(scene.twin.sent).toHaveLength(1);
  });

  it('adopts no command of another attempt, nor one that ends a run', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable'));
    await expect(scene.backend.start(run)).rejects.toThrow();
    for (const comment of [`${taskId}/2`, `end ${taskId}/1`, 'patch', '']) {
      scene.twin.foreign({ instanceId: workerNo(0), comment, deliverySeconds: 60, parameters: PARAMETERS });
    }
    scene.pass(awsFleetWaits.DISPATCH_DOUBT_S);
    const started = await scene.backend.start(run);
    expect(scene.twin.sent.at(-1)).toMatchObject({ comment: `${taskId}/1` });
    expect(started).toMatchObject({ handle: { commandId: scene.twin.sent.at(-1)?.commandId } });
  });

  it('finds its command, too, where the clock of Systems Manager is two minutes behind', async () => {
    scene.pass(200);
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable'));
    await expect(scene.backend.start(run)).rejects.toThrow();
    const command = { instanceId: workerNo(0), comment: `${taskId}/1`, deliverySeconds: 60, parameters: PARAMETERS };
    const { commandId } = scene.twin.foreign(command, at(200 - 120));
    scene.pass(awsFleetWaits.DISPATCH_DOUBT_S);
    expect(await scene.backend.start(run)).toMatchObject({ outcome: 'started', handle: { commandId } });
    expect(scene.twin.sent).toHaveLength(1);
  });

  it('again, with what the document does not take, keeps the worker: the first try may have been sent', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable'));
    await expect(scene.backend.start(run)).rejects.toThrow();
    scene.pass(awsFleetWaits.DISPATCH_DOUBT_S);
    const changed = { ...run, environment: { ...run.environment, BATON_OTHER: 'yes' } };
    await expect(scene.backend.start(changed)).rejects.toMatchObject({
      code: 'compute_invalid',
      message: expect.stringContaining('"BATON_OTHER"'),
    });
    expect(await scene.stateOf()).toBe('dispatching');
    expect(scene.twin.sent).toEqual([]);
  });

  // B4, B7
  it.each(['throttled', 'denied', 'refused'] as const)(
    'that is %s gives the worker back, with the reason',
    async (fault) => {
      const run = await scene.claimed();
      scene.twin.failNext('send', trouble(fault));
      const code = fault === 'throttled' ? 'start_throttled' : 'start_refused';
      expect(await scene.backend.start(run)).toMatchObject({
        outcome: 'refused',
        reason: { code, message: `SSM: ${fault}` },
      });
      expect(await scene.stateOf()).toBe('idle');
      expect(scene.failed).toHaveLength(fault === 'throttled' ? 0 : 1);
    },
  );

  it('that is refused after a try of which nobody heard, keeps the worker: that one may have been sent', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('throttled', true), true);
    await expect(scene.backend.start(run)).rejects.toMatchObject({ code: 'compute_throttled' });
    expect(await scene.stateOf()).toBe('dispatching');
  });

  // B9
  it('whose worker cannot be given back either, is refused all the same, and the cause is told', async () => {
    const store = memoryStore({ recordLog: false, freezeValues: true });
    let broken = false;
    const put: typeof store.put = async (...given) => {
      if (broken) throw new Error('the table is away');
      return store.put(...given);
    };
    scene = await fleetScene({ store: { ...store, put } });
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('denied'));
    const { send } = scene.twin.service;
    Object.assign(scene.twin.service, {
      send: (command: Parameters<typeof send>[0]) => {
        broken = true;
        return send(command);
      },
    });
    expect(await scene.backend.start(run)).toMatchObject({ outcome: 'refused', reason: { message: 'SSM: denied' } });
    expect(scene.warnings).toMatchObject([{ cause: { message: 'the table is away' } }]);
    broken = false;
    expect(await scene.backend.ask({ startedBy: run.startedBy, handle: run.worker })).toMatchObject([
      { phase: 'starting' },
    ]);
  });

  it('on a machine that is not to be reached, takes it out of its fleet: it would only be claimed again', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('gone'));
    expect(await scene.backend.start(run)).toMatchObject({
      outcome: 'refused',
      reason: { code: 'worker_unreachable' },
    });
    expect(await scene.stateOf()).toBe('quarantined');
    expect(await scene.workers.capacityOf(FLEET)).toBe(0);
  });

  it.each(['throttled', 'gone'] as const)('that is %s uses up no attempt', async (fault) => {
    scene.twin.failNext('send', trouble(fault));
    expect(await scene.backend.start(await scene.claimed())).toMatchObject({ pauseSeconds: WORKER_PAUSE_S });
  });

  it.each([HOST_EXIT.unproven, 3])('again after its end with %i, never says that it did not begin', async (code) => {
    const { run, handle, commandId } = await scene.running();
    scene.twin.set(commandId, 'Failed', code);
    await scene.backend.ask({ startedBy: run.startedBy, handle });
    expect(await scene.backend.start(run)).toMatchObject({ outcome: 'started' });
  });

  // F11
  it('whose claim has lapsed waits for another worker, and no attempt is used up', async () => {
    const run = await scene.claimed(ownerNo(0));
    scene.pass(awsFleetWaits.CLAIM_EXPIRY_S);
    await scene.claimed(ownerNo(1));
    expect(await scene.backend.start(run)).toMatchObject({
      outcome: 'refused',
      reason: { code: 'no_capacity' },
      pauseSeconds: WORKER_PAUSE_S,
    });
    expect(scene.twin.sent).toEqual([]);
  });

  // B11, B12
  it('sends no text of a task, whatever stands in it: a value that the document does not take is refused', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('$(reboot)', "'; id '", '`id`', 'a\nb', '{{ssm:x}}', ''),
    );
    const name = fc.constantFrom('BATON_PAYLOAD', 'BATON_TASK_ID', 'BATON_ATTEMPT', 'BATON_PROMPT', 'PATH');
    await fc.assert(
      fc.asyncProperty(name, text, async (field, value) => {
        const fresh = await fleetScene();
        const run = await fresh.claimed();
        const environment = { ...run.environment, [field]: value };
        const answer = await fresh.backend.start({ ...run, environment });
        if (environment[field] === run.environment[field]) return;
        expect(answer).toMatchObject({ outcome: 'refused', reason: { code: 'start_refused' } });
        expect(fresh.twin.sent).toEqual([]);
        expect(await fresh.stateOf()).toBe('idle');
      }),
      { numRuns: 60 },
    );
  });

  it('with other variables than before, adopts the run that goes on, and never gives its worker away', async () => {
    const { run, handle } = await scene.running();
    const changed = { ...run, environment: { ...run.environment, BATON_OTHER: 'yes' } };
    expect(await scene.backend.start(changed)).toEqual({ outcome: 'started', handle });
    expect(await scene.stateOf()).toBe('dispatched');
  });

  it('asks for no longer than Systems Manager lets a command go on', async () => {
    const run = await scene.claimed();
    await scene.backend.start({ ...run, executionSeconds: 10_000_000 });
    expect(scene.twin.sent[0]?.parameters.executionTimeout).toBe('172800');
  });

  it('that was sent although the task had moved on meanwhile, is cancelled', async () => {
    const run = await scene.claimed();
    const { send } = scene.twin.service;
    Object.assign(scene.twin.service, {
      send: async (command: Parameters<typeof send>[0]) => {
        const id = await send(command);
        if (command.parameters.action === 'end') return id;
        // It is not to be seen yet, so the stop cannot cancel it.
        scene.twin.hide();
        await scene.backend.stop(run.worker, 'cancelled');
        expect(scene.twin.calls).not.toContain('cancel c-1');
        return id;
      },
    });
    await scene.backend.start(run);
    expect(scene.twin.calls).toContain('cancel c-1');
    expect(await scene.stateOf()).toBe('returning');
  });
});

const PARAMETERS = { action: 'run', taskId, attempt: '1', payload: '-', executionTimeout: '1' };

describe('stopping a run', () => {
  // B20
  it('cancels its command, and asks the host to prove the end: only that gives the worker back', async () => {
    const { handle, commandId } = await scene.running();
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('stopping');
    expect(scene.twin.calls.slice(-2)).toEqual([`cancel ${commandId}`, `send end ${taskId}/1`]);
    scene.twin.set(commandId, 'Cancelled');
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('stopping');
    expect(await scene.stateOf()).toBe('returning');
    scene.twin.endAt('c-2');
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('already_ended');
    expect(await scene.stateOf()).toBe('idle');
    expect(sends(scene.twin)).toHaveLength(2);
  });

  it('is proven by the end of its own command too', async () => {
    const { run, handle, commandId } = await scene.running();
    await scene.backend.stop(handle, 'cancelled');
    scene.twin.set(commandId, 'Failed', 143);
    expect(await scene.backend.ask({ startedBy: run.startedBy, handle })).toMatchObject([
      { phase: 'ended', end: { kind: 'exited', exitCode: 143 } },
    ]);
    expect(await scene.stateOf()).toBe('idle');
  });

  it('that was claimed for and not begun, needs no command', async () => {
    const run = await scene.claimed();
    expect(await scene.backend.stop(run.worker, 'cancelled')).toBe('not_found');
    expect(await scene.stateOf()).toBe('idle');
    expect(scene.twin.calls).toEqual([]);
    expect(await scene.backend.start(run)).toMatchObject({ outcome: 'refused' });
    expect(scene.scaling.calls).toEqual([`let go ${workerNo(0)}`]);
  });

  it('whose command may have been sent, cancels what can be found, and has the host see to the rest', async () => {
    const run = await scene.claimed();
    scene.twin.failNext('send', trouble('unavailable', true), true);
    await expect(scene.backend.start(run)).rejects.toThrow();
    expect(await scene.backend.stop(run.worker, 'cancelled')).toBe('stopping');
    expect(scene.twin.calls).toEqual([`send ${taskId}/1`, `list ${workerNo(0)}`, 'cancel c-1', `send end ${taskId}/1`]);
  });

  it('goes on when the cancellation fails, and fails itself when nobody could be asked for the proof', async () => {
    const { handle } = await scene.running();
    scene.twin.failNext('cancel', trouble('denied'));
    scene.twin.failNext('send', trouble('throttled'));
    await expect(scene.backend.stop(handle, 'cancelled')).rejects.toMatchObject({ code: 'compute_throttled' });
    expect(scene.warnings).toHaveLength(1);
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('stopping');
    expect(scene.twin.sent).toHaveLength(2);
  });

  it('asks again when a command for the proof came to nothing, so often and no more', async () => {
    const { handle } = await scene.running();
    for (let tries = 0; tries < END_TRIES_MAX + 3; tries++) {
      expect(await scene.backend.stop(handle, 'cancelled')).toBe('stopping');
      const last = scene.twin.sent.at(-1);
      if (last) scene.twin.set(last.commandId, 'DeliveryTimedOut');
    }
    expect(scene.twin.sent).toHaveLength(1 + END_TRIES_MAX);
    expect(await scene.stateOf()).toBe('returning');
  });

  it('waits for a command that is under way, and takes one that never answers for lost', async () => {
    const { handle } = await scene.running();
    await scene.backend.stop(handle, 'cancelled');
    scene.twin.set('c-2', 'InProgress');
    await scene.backend.stop(handle, 'cancelled');
    expect(scene.twin.sent).toHaveLength(2);
    scene.pass(awsFleetWaits.END_PROOF_S);
    await scene.backend.stop(handle, 'cancelled');
    expect(scene.twin.sent).toHaveLength(3);
  });

  it('whose host says that something is left, takes the worker out; only the end of the machine ends the run', async () => {
    const { run, handle } = await scene.running();
    await scene.backend.stop(handle, 'cancelled');
    scene.twin.set('c-2', 'Failed', HOST_EXIT.unproven);
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('stopping');
    expect(await scene.stateOf()).toBe('quarantined');
    const target = { startedBy: run.startedBy, handle };
    expect(await scene.backend.ask(target)).toMatchObject([
      { phase: 'lost', end: { reason: { code: 'end_unproven' } } },
    ]);
    scene.scaling.gone.add(workerNo(0));
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('already_ended');
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'ended', end: { reason: { code: 'host_lost' } } }]);
  });

  // F24, B39
  it('on a machine that nobody reaches, asks whether there is one', async () => {
    const { handle } = await scene.running();
    scene.scaling.fleets.set(workerNo(0), FLEET);
    scene.twin.failNext('send', trouble('gone'));
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('stopping');
    scene.scaling.gone.add(workerNo(0));
    scene.twin.failNext('send', trouble('gone'));
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('already_ended');
    expect(await scene.stateOf()).toBe('gone');
  });

  // F24, B39: SSM goes on to call it in progress.
  it('on a machine that is gone without a word has ended, however SSM calls it', async () => {
    const { handle, commandId, run } = await scene.running();
    const target = { startedBy: run.startedBy, handle };
    scene.scaling.fleets.set(workerNo(0), FLEET);
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'running' }]);
    scene.scaling.gone.add(workerNo(0));
    scene.twin.set(commandId, 'InProgress');
    expect(await scene.backend.ask(target)).toMatchObject([
      { phase: 'ended', end: { kind: 'lost', reason: { code: 'host_lost' } } },
    ]);
    expect(await scene.stateOf()).toBe('gone');
    expect(await scene.backend.stop(handle, 'lost')).toBe('already_ended');
  });

  // F24, B39
  it('on a machine that somebody took out of its group goes on, and ends by nobody else than its host or EC2', async () => {
    const { handle, commandId, run } = await scene.running();
    const target = { startedBy: run.startedBy, handle };
    scene.scaling.detached.add(workerNo(0));
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'running' }]);
    // Its agent is away for a moment.
    scene.twin.failNext('send', trouble('gone'));
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('stopping');
    expect(await scene.stateOf()).toBe('returning');
    await scene.workers.quarantine(workerNo(0), because('end_unproven', 'Something is left.'), ownerNo(0));
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('stopping');
    scene.twin.set(commandId, 'InProgress');
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'lost' }]);
    scene.scaling.gone.add(workerNo(0));
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('already_ended');
  });

  it.each(['compute_throttled', 'compute_unavailable'] as const)(
    'of which EC2 cannot be asked just now (%s) runs as SSM says; whoever stops it is told',
    async (code) => {
      const { handle, run } = await scene.running();
      const nobody = new ComputeError(code, 'EC2 DescribeInstances: not now');
      scene.scaling.failNext('isGone', nobody);
      expect(await scene.backend.ask({ startedBy: run.startedBy, handle })).toMatchObject([{ phase: 'running' }]);
      expect(scene.warnings).toEqual([
        { message: expect.stringMatching(/^command c-1 counts as running: .*EC2/), cause: nobody },
      ]);
      expect(await scene.stateOf()).toBe('dispatched');
      scene.twin.failNext('send', trouble('gone'));
      scene.scaling.failNext('isGone', nobody);
      await expect(scene.backend.stop(handle, 'cancelled')).rejects.toBe(nobody);
    },
  );

  it('of which EC2 may not be asked is neither over nor not', async () => {
    const { handle, run } = await scene.running();
    const denied = new ComputeError('compute_denied', 'EC2 DescribeInstances: UnauthorizedOperation');
    scene.scaling.failNext('isGone', denied);
    await expect(scene.backend.ask({ startedBy: run.startedBy, handle })).rejects.toBe(denied);
    expect(await scene.stateOf()).toBe('dispatched');
  });

  it('that is over already, or of which nothing is known, says so and asks nobody', async () => {
    const { handle, commandId, run } = await scene.running();
    scene.twin.set(commandId, 'Success', 0);
    await scene.backend.ask({ startedBy: run.startedBy, handle });
    const before = scene.twin.calls.length;
    expect(await scene.backend.stop(handle, 'cancelled')).toBe('already_ended');
    expect(await scene.backend.stop({ ...handle, ...ownerNo(5) }, 'cancelled')).toBe('not_found');
    expect(await scene.backend.stop({ ...handle, instanceId: workerNo(9) }, 'cancelled')).toBe('not_found');
    expect(scene.twin.calls).toHaveLength(before);
  });

  it('of another back end is a mistake', async () => {
    await expect(scene.backend.stop(aHandle(), 'cancelled')).rejects.toThrow(TypeError);
  });
});

describe('asking about a run', () => {
  type Row = [status: string, exitCode: number | undefined, seen: object, worker: string, said?: string];
  it.each<Row>([
    ['Pending', undefined, { phase: 'starting' }, 'dispatched'],
    ['Delayed', undefined, { phase: 'starting' }, 'dispatched'],
    ['InProgress', undefined, { phase: 'running' }, 'dispatched'],
    ['Cancelling', undefined, { phase: 'running' }, 'dispatched'],
    ['Success', 0, { phase: 'ended', end: { kind: 'exited', exitCode: 0 } }, 'idle'],
    ['Failed', 3, { phase: 'ended', end: { kind: 'exited', exitCode: 3 } }, 'idle'],
    ['Failed', HOST_EXIT.notStarted, { phase: 'ended', end: { reason: { code: 'never_started' } } }, 'quarantined'],
    ['Failed', HOST_EXIT.over, { phase: 'ended', end: { reason: { code: 'never_started' } } }, 'idle'],
    ['Failed', HOST_EXIT.unproven, { phase: 'lost', end: { reason: { code: 'end_unproven' } } }, 'quarantined'],
    ['Failed', -1, { phase: 'lost', end: { reason: { code: 'compute_gone' } } }, 'dispatched'],
    // Somebody killed the script, or SSM lost sight of it: a code is no word of the host.
    ['Failed', 0, { phase: 'lost', end: { reason: { code: 'compute_gone' } } }, 'dispatched', 'Killed'],
    ['Failed', 137, { phase: 'lost', end: { reason: { code: 'compute_gone' } } }, 'dispatched', '0123456789ab Killed'],
    ['Failed', HOST_EXIT.over, { phase: 'lost', end: { reason: { code: 'compute_gone' } } }, 'dispatched', 'Killed'],
    ['Cancelled', undefined, { phase: 'lost', end: { reason: { code: 'stopped_outside' } } }, 'dispatched'],
    ['Timed Out', undefined, { phase: 'lost', end: { reason: { code: 'worker_unreachable' } } }, 'dispatched'],
    ['Undeliverable', undefined, { phase: 'lost', end: { reason: { code: 'worker_unreachable' } } }, 'dispatched'],
    ['Terminated', undefined, { phase: 'lost', end: { reason: { code: 'stopped_outside' } } }, 'dispatched'],
    // F29: not guessed into an end.
    ['Quiesced', undefined, { phase: 'starting' }, 'dispatched'],
  ])('whose command is %s (%s)', async (status, exitCode, seen, worker, ...[said]) => {
    const { run, handle, commandId } = await scene.running();
    scene.twin.set(commandId, status, exitCode, said);
    const [found, ...more] = await scene.backend.ask({ startedBy: run.startedBy, handle });
    expect(found).toMatchObject({ taskId, attempt: 1, nativeId: workerRunId(handle), handle, ...seen });
    expect(more).toEqual([]);
    expect(await scene.stateOf()).toBe(worker);
    expect(scene.warnings).toHaveLength(status === 'Quiesced' ? 1 : 0);
  });

  // B19
  it('whose command is not to be seen yet, waits, and then gives it up without a word of the host', async () => {
    const { run, handle } = await scene.running();
    const target = { startedBy: run.startedBy, handle };
    scene.twin.hide();
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'starting' }]);
    scene.pass(awsFleetWaits.COMMAND_SHOWS_S);
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'lost', end: { reason: { code: 'start_lost' } } }]);
    expect(await scene.stateOf()).toBe('dispatched');
  });

  it('whose command is sent while somebody asks, goes on', async () => {
    const plain = memoryStore({ recordLog: false, freezeValues: true });
    let act: (() => Promise<unknown>) | undefined;
    const get: typeof plain.get = async (key) => {
      const found = await plain.get(key);
      const now = key.startsWith('WORKER') ? act : undefined;
      if (now) act = undefined;
      await now?.();
      return found;
    };
    scene = await fleetScene({ store: { ...plain, get } });
    const run = await scene.claimed();
    act = () => scene.backend.start(run);
    expect(await scene.backend.ask({ startedBy: run.startedBy, handle: run.worker })).toMatchObject([
      { phase: 'starting' },
    ]);
    expect(await scene.stateOf()).toBe('dispatched');
  });

  it('whose command was never sent, gives the worker back: nothing of it can come', async () => {
    const run = await scene.claimed();
    expect(await scene.backend.ask({ startedBy: run.startedBy, handle: run.worker })).toMatchObject([
      { phase: 'ended', end: { kind: 'lost', reason: { code: 'never_started' } } },
    ]);
    expect(await scene.backend.start(run)).toMatchObject({ outcome: 'refused', reason: { code: 'no_capacity' } });
  });

  it('whose command may have been sent, waits for whoever sent it, then looks, and else has its end proven', async () => {
    const run = await scene.claimed();
    const target = { startedBy: run.startedBy, handle: run.worker };
    scene.twin.failNext('send', trouble('unavailable', true), true);
    await expect(scene.backend.start(run)).rejects.toThrow();
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'starting' }]);
    scene.pass(awsFleetWaits.DISPATCH_DOUBT_S);
    scene.twin.hide();
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'lost', end: { reason: { code: 'start_lost' } } }]);
    scene.twin.hide(false);
    scene.twin.set('c-1', 'InProgress');
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'running' }]);
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ state: 'dispatched', commandId: 'c-1' });
  });

  it('that gave its worker back says how it ended, as long as nobody else ran there, and never that it goes on', async () => {
    const { run, handle, commandId } = await scene.running();
    const target = { startedBy: run.startedBy, handle };
    scene.twin.set(commandId, 'Failed', 3);
    const first = await scene.backend.ask(target);
    const [{ sequence: _rank, ...told } = { sequence: 0 }] = first;
    expect(await scene.backend.ask(target)).toMatchObject([{ ...told, end: { kind: 'exited', exitCode: 3 } }]);
    const next = await scene.running(ownerNo(1));
    scene.twin.set(next.commandId, 'Success', 0);
    await scene.backend.ask({ startedBy: next.run.startedBy, handle: next.handle });
    expect(await scene.backend.ask(target)).toMatchObject([{ phase: 'ended', end: { kind: 'lost' } }]);
  });

  it('without a handle finds nothing: it is stored before anything is sent', async () => {
    const { run } = await scene.running();
    expect(await scene.backend.ask({ startedBy: run.startedBy })).toEqual([]);
    const handle = { ...aRunOn(run.worker).worker, instanceId: workerNo(9) };
    expect(await scene.backend.ask({ startedBy: run.startedBy, handle })).toEqual([]);
  });
});

describe('a worker that was claimed in vain', () => {
  const machine = { worker: workerNo(0), fleet: FLEET };

  it('is let go of before it is anybody else’s, so that its group has it whoever dies then', async () => {
    const kept: boolean[] = [];
    const noting = memoryStore({ recordLog: false, freezeValues: true });
    const store = {
      ...noting,
      put: (async (...given) => {
        kept.push(scene.scaling.isKept(workerNo(0)));
        return noting.put(...given);
      }) satisfies typeof noting.put,
    };
    scene = await fleetScene({ store });
    await scene.backend.claim(FLEET, ownerNo(0));
    kept.length = 0;
    await scene.backend.giveBack(workerNo(0), ownerNo(0));
    expect(kept[0]).toBe(false);
    expect(await scene.stateOf()).toBe('idle');
  });

  it('is let go of by whoever asked to keep it, where another has given it back by then', async () => {
    await scene.backend.claim(FLEET, ownerNo(0));
    await scene.backend.giveBack(workerNo(0), ownerNo(0));
    await scene.scaling.machines.protect(machine, true);
    await scene.backend.giveBack(workerNo(0), ownerNo(0));
    expect(scene.scaling.isKept(workerNo(0))).toBe(false);
  });

  it('stays with its next owner', async () => {
    await scene.backend.claim(FLEET, ownerNo(0));
    await scene.backend.giveBack(workerNo(0), ownerNo(0));
    await scene.backend.claim(FLEET, ownerNo(1));
    await scene.backend.giveBack(workerNo(0), ownerNo(0));
    expect(scene.scaling.isKept(workerNo(0))).toBe(true);
    expect(await scene.stateOf()).toBe('claimed');
  });
});

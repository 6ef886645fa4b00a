import { beforeEach, describe, expect, it } from '@jest/globals';
import { awsFleetWaits } from '../../lifecycle/worker.ts';
import type { Workers } from '../../runtime/ports.ts';
import { fleetKey, workerKey } from '../../runtime/records.ts';
import { placesOver, workersOver } from '../../runtime/workers.ts';
import { because } from '../../schemas/reason.ts';
import type { WorkerOwner } from '../../schemas/ssm-command.ts';
import { FLEET_WORKERS_MAX, fleetSlotKey, worker as workerSchema } from '../../schemas/worker.ts';
import { aCause, aTaskId, at } from '../builders.ts';
import { onEveryStore } from './stores.ts';

const fleet = 'builders';
const idOf = (n: number): string => `i-${String(n).padStart(8, '0')}`;
const owner = (n: number): WorkerOwner => ({ taskId: aTaskId(`n${n}x`), attempt: 1 });
const unproven = because('end_unproven', 'Something is left.');
const about = { cause: aCause(), correlationId: 'c' };
const gone = because('host_lost', 'It was terminated.');

onEveryStore((present) => {
  let workers: Workers;
  let seconds = 0;
  beforeEach(() => {
    seconds = 0;
    workers = workersOver({ store: present.store, clock: { now: () => at(seconds) }, waits: awsFleetWaits });
  });
  const aFleetOf = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, n) => workers.register({ worker: idOf(n), fleet })));
  const claims = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, n) => workers.claim(fleet, owner(n))));
  const stateOf = async (id: string) => (await workers.get(id))?.state;
  const claimed = async (n = 0): Promise<string> => {
    const id = await workers.claim(fleet, owner(n));
    if (id === undefined) throw new Error('no worker is idle');
    return id;
  };

  describe('a fleet', () => {
    it('has as many places as machines that said they are ready, each counted once', async () => {
      await workers.boots({ worker: idOf(9), fleet });
      expect(await workers.capacityOf(fleet)).toBe(0);
      await aFleetOf(3);
      await aFleetOf(3);
      expect(await workers.capacityOf(fleet)).toBe(3);
      expect(await workers.capacityOf('others')).toBe(0);
    });

    it('loses a place with each worker that is quarantined, leaves, or is gone', async () => {
      await aFleetOf(4);
      await workers.quarantine(idOf(0), unproven);
      await workers.leaves(idOf(1), gone);
      await workers.goes(idOf(2), gone);
      expect(await workers.capacityOf(fleet)).toBe(1);
      await workers.register({ worker: idOf(0), fleet });
      expect(await workers.capacityOf(fleet)).toBe(1);
    });

    it('gets a place that was written down for a worker only, when the machine says again that it is ready', async () => {
      await aFleetOf(1);
      await present.store.delete(fleetKey(fleet));
      expect((await workers.register({ worker: idOf(0), fleet })).answer).toBe('already');
      expect(await workers.capacityOf(fleet)).toBe(1);
    });

    it('does not offer a listed worker that is out, and mends its list', async () => {
      await aFleetOf(2);
      const record = await present.store.get(workerKey(idOf(0)));
      const out = { ...(record?.value as object), state: 'quarantined', reason: gone };
      await present.store.put(workerKey(idOf(0)), out, 'any');
      expect((await claims(3)).filter((id) => id !== undefined)).toEqual([idOf(1)]);
      expect(await workers.capacityOf(fleet)).toBe(1);
    });

    it('has a bound, and says so', async () => {
      const full = Object.fromEntries(
        Array.from({ length: FLEET_WORKERS_MAX }, (_, n) => [idOf(n + 1_000), { since: at(0) }]),
      );
      await present.store.put(fleetKey(fleet), { fleet, workers: full }, 'any');
      await expect(workers.register({ worker: idOf(0), fleet })).rejects.toMatchObject({ code: 'bad_configuration' });
    });
  });

  describe('claiming', () => {
    // B5, B6
    it('gives each of those who ask at once another worker, and nobody one that has an owner', async () => {
      await aFleetOf(5);
      const got = (await claims(12)).filter((id) => id !== undefined);
      expect(got).toHaveLength(5);
      expect(new Set(got).size).toBe(5);
      expect(await workers.claim(fleet, owner(99))).toBeUndefined();
    });

    it('of one idle worker by twenty at once lets one in', async () => {
      await aFleetOf(1);
      expect((await claims(20)).filter((id) => id !== undefined)).toEqual([idOf(0)]);
    });

    it('finds the one idle worker among many, wherever the look begins', async () => {
      await aFleetOf(12);
      const all = await claims(12);
      const [last] = all;
      if (last === undefined) throw new Error('nothing was claimed');
      await workers.free(last, owner(0));
      expect(await workers.claim(fleet, owner(77))).toBe(last);
    });

    it('again by the same attempt gives the same worker', async () => {
      await aFleetOf(5);
      const id = await claimed();
      expect(await claimed()).toBe(id);
      expect((await claims(5)).filter((one) => one === id)).toHaveLength(1);
    });

    // F11
    it('whose dispatch is lost, lapses: another takes the worker, and the late one is told', async () => {
      await aFleetOf(1);
      const id = await claimed(0);
      seconds = awsFleetWaits.CLAIM_EXPIRY_S;
      expect(await claimed(1)).toBe(id);
      expect((await workers.dispatch(id, owner(0))).answer).toBe('lost');
      expect((await workers.dispatch(id, owner(1))).answer).toBe('send');
      seconds = 1_000_000;
      expect(await workers.claim(fleet, owner(2))).toBeUndefined();
    });
  });

  describe('who has a worker', () => {
    it('is found in its fleet, and only there', async () => {
      await aFleetOf(10);
      const id = await claimed(4);
      expect(await workers.held(fleet, owner(4))).toBe(id);
      expect(await workers.held('others', owner(4))).toBeUndefined();
      expect(await workers.held(fleet, { ...owner(4), attempt: 2 })).toBeUndefined();
    });

    it('gives it back for as long as nothing was sent', async () => {
      await aFleetOf(1);
      const id = await claimed();
      expect((await workers.giveBack(id, owner(1))).answer).toBe('already');
      expect((await workers.giveBack(id, owner(0))).answer).toBe('freed');
      await claimed(1);
      await workers.dispatch(id, owner(1));
      expect((await workers.giveBack(id, owner(1))).answer).toBe('already');
    });
  });

  it('the slots of a fleet are as many as its workers; other keys have their own', async () => {
    const limitOf = placesOver(workers, () => 7);
    await aFleetOf(3);
    expect(await limitOf(fleetSlotKey(fleet))).toBe(3);
    expect(await limitOf(fleetSlotKey('others'))).toBe(0);
    expect(await limitOf('user:ada')).toBe(7);
  });

  describe('a claimed worker', () => {
    it('is sent one command, however many deliveries are at it', async () => {
      await aFleetOf(1);
      const id = await claimed();
      const answers = await Promise.all(Array.from({ length: 10 }, () => workers.dispatch(id, owner(0))));
      expect(answers.filter(({ answer }) => answer === 'send')).toHaveLength(1);
      expect(answers.filter(({ answer }) => answer === 'wait')).toHaveLength(9);
    });

    it('of which nobody knows whether it was sent one, is looked at by one delivery at a time', async () => {
      await aFleetOf(1);
      const id = await claimed();
      await workers.dispatch(id, owner(0));
      seconds = awsFleetWaits.DISPATCH_DOUBT_S;
      const answers = await Promise.all(Array.from({ length: 5 }, () => workers.dispatch(id, owner(0))));
      expect(answers.map(({ answer }) => answer).sort()).toEqual(['look', 'wait', 'wait', 'wait', 'wait']);
    });

    it('goes through its states to idle, and its record is as the schema has it in each', async () => {
      await aFleetOf(1);
      const id = await claimed();
      const seen: (string | undefined)[] = [];
      const look = async () => {
        const found = await workers.get(id);
        expect(workerSchema.parse(found)).toEqual(found);
        seen.push(found?.state);
      };
      await look();
      await workers.dispatch(id, owner(0));
      await look();
      await workers.dispatched(id, owner(0), 'c-1');
      await look();
      await workers.returning(id, owner(0));
      await workers.endSent(id, owner(0), 'e-1');
      await look();
      await workers.free(id, owner(0), 143);
      await look();
      expect(seen).toEqual(['claimed', 'dispatching', 'dispatched', 'returning', 'idle']);
      expect(await workers.get(id)).toMatchObject({ last: { ...owner(0), commandId: 'c-1', exitCode: 143 } });
    });

    // B10
    it('that was freed twice, and taken in between, stays with its new owner', async () => {
      await aFleetOf(1);
      const id = await claimed(0);
      await workers.free(id, owner(0));
      expect(await claimed(1)).toBe(id);
      expect((await workers.free(id, owner(0))).answer).toBe('already');
      expect(await workers.get(id)).toMatchObject({ state: 'claimed', owner: owner(1) });
    });

    it('keeps its owner over a restart', async () => {
      await aFleetOf(1);
      const id = await claimed();
      await workers.dispatch(id, owner(0));
      await present.store.durable();
      const store = await present.reopen();
      const again = workersOver({ store, clock: { now: () => at(seconds) }, waits: awsFleetWaits });
      expect((await again.dispatch(id, owner(0))).answer).toBe('wait');
    });
  });

  describe('a worker without proof', () => {
    it('is quarantined once, and the same fact says so as often as somebody finds it', async () => {
      await aFleetOf(1);
      const id = await claimed();
      expect((await workers.quarantine(id, unproven, owner(0))).answer).toBe('quarantined');
      const first = await workers.told(id, about);
      seconds = 50;
      expect((await workers.quarantine(id, unproven, owner(0))).answer).toBe('already');
      expect(first.events).toMatchObject([
        { id: `${id}#WorkerQuarantined`, detail: { data: { fleet, worker: id, owner: owner(0) } } },
      ]);
      expect(await workers.told(id, about)).toEqual(first);
      expect(await stateOf(id)).toBe('quarantined');
    });

    it('of another by now is left alone, and nothing is said', async () => {
      await aFleetOf(1);
      const id = await claimed(1);
      expect((await workers.quarantine(id, unproven, owner(0))).answer).toBe('not_owned');
      expect((await workers.told(id, about)).events).toEqual([]);
      expect(await stateOf(id)).toBe('claimed');
    });

    it('that leaves its fleet in order is nothing to be said', async () => {
      await aFleetOf(1);
      await workers.leaves(idOf(0), gone);
      await workers.quarantine(idOf(0), unproven);
      expect((await workers.told(idOf(0), about)).events).toEqual([]);
    });
  });

  describe('a machine that is to be taken away', () => {
    it('while it has an owner, gets no other, and is out of its fleet when it is given back', async () => {
      await aFleetOf(1);
      const id = await claimed();
      expect(await workers.leaves(id, gone)).toMatchObject({ answer: 'leaving', worker: { state: 'claimed' } });
      seconds = awsFleetWaits.CLAIM_EXPIRY_S;
      expect(await workers.claim(fleet, owner(1))).toBeUndefined();
      expect(await workers.giveBack(id, owner(0))).toMatchObject({
        answer: 'freed',
        worker: { state: 'quarantined', leaving: { reason: gone } },
      });
      expect(await workers.capacityOf(fleet)).toBe(0);
    });

    it('before it was ready, is never in its fleet', async () => {
      expect((await workers.boots({ worker: idOf(3), fleet })).answer).toBe('noted');
      expect((await workers.leaves(idOf(3), gone)).answer).toBe('left');
      expect((await workers.register({ worker: idOf(3), fleet })).answer).toBe('refused');
      expect(await workers.capacityOf(fleet)).toBe(0);
    });

    it('by two who say so at once, and is claimed meanwhile, is taken by nobody or has its owner', async () => {
      await aFleetOf(1);
      const [got] = await Promise.all([
        workers.claim(fleet, owner(0)),
        workers.leaves(idOf(0), gone),
        workers.leaves(idOf(0), gone),
      ]);
      const now = await workers.get(idOf(0));
      expect(now).toMatchObject(got === undefined ? { state: 'quarantined' } : { state: 'claimed', owner: owner(0) });
      expect(now).toMatchObject({ leaving: { reason: gone } });
    });
  });

  it('a machine that is ready and is said only then to be made, stays ready', async () => {
    await workers.boots({ worker: idOf(0), fleet });
    await aFleetOf(1);
    expect((await workers.boots({ worker: idOf(0), fleet })).answer).toBe('already');
    expect(await stateOf(idOf(0))).toBe('idle');
    expect((await workers.bootFailed({ worker: idOf(0), fleet }, unproven)).answer).toBe('refused');
    expect(await workers.capacityOf(fleet)).toBe(1);
  });

  // B21
  it('a machine whose boot failed is out before it ever was in, and that is said', async () => {
    expect((await workers.bootFailed({ worker: idOf(3), fleet }, unproven)).answer).toBe('quarantined');
    expect((await workers.told(idOf(3), about)).events).toHaveLength(1);
    expect((await workers.register({ worker: idOf(3), fleet })).answer).toBe('refused');
    expect(await workers.capacityOf(fleet)).toBe(0);
  });

  // B39
  it('a machine that is gone frees its place, and tells whose run went with it', async () => {
    await aFleetOf(2);
    const id = await claimed();
    await workers.dispatch(id, owner(0));
    const { worker } = await workers.goes(id, gone);
    expect(worker).toMatchObject({ state: 'gone', owner: owner(0) });
    const again = await workers.goes(id, gone);
    expect(again).toMatchObject({ answer: 'already', worker: { owner: owner(0) } });
    expect(await workers.capacityOf(fleet)).toBe(1);
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { waitersInOrder } from '../../lifecycle/slot-decisions.ts';
import type { Slots } from '../../runtime/ports.ts';
import { slotKey } from '../../runtime/records.ts';
import { slotsOver } from '../../runtime/slots.ts';
import { leaseOf, type Slot } from '../../schemas/slot.ts';
import type { Task } from '../../schemas/task.ts';
import { aCause, aTask, aTaskId, at } from '../builders.ts';
import { onEveryStore } from './stores.ts';

const KEY = 'user:ada';
const options = { priority: 0, cause: aCause(), correlationId: 'c' };
const idOf = (n: number) => aTaskId(`n${n}x`);
const lease = (n: number) => leaseOf(idOf(n), 1);

onEveryStore((present) => {
  let limit = 3;
  let states: Map<string, Task>;
  let slots: Slots;
  beforeEach(() => {
    limit = 3;
    states = new Map(Array.from({ length: 120 }, (_, n) => [idOf(n), aTask({ status: 'RUNNING', taskId: idOf(n) })]));
    slots = slotsOver({
      store: present.store,
      tasks: { get: async (taskId) => states.get(taskId) },
      clock: { now: () => at(0) },
      limitOf: () => limit,
    });
  });
  const slot = async () => (await present.store.get(slotKey(KEY)))?.value as Slot;
  const holders = async () => Object.keys((await slot()).holders);
  const take = (n: number, priority = 0) => slots.take(KEY, lease(n), { ...options, priority });

  it('hold a limit that was changed while somebody took the first place of the key', async () => {
    const of = (limitOf: () => Promise<number>) =>
      slotsOver({
        store: present.store,
        tasks: { get: async (taskId) => states.get(taskId) },
        clock: { now: () => at(0) },
        limitOf,
      });
    const configured = of(async () => 1);
    const late = of(async () => {
      // The limit that it has just read is replaced before it writes.
      await configured.check(KEY, aCause('RepositoryConfigured'));
      return 10;
    });
    expect((await late.take(KEY, lease(1), options)).answer).toBe('held');
    expect((await late.take(KEY, lease(2), options)).answer).toBe('waiting');
    expect(await slot()).toMatchObject({ limit: 1 });
  });

  it('give a hundred who ask at once exactly as many places as there are, and the others a place in line', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => take(n)));
    expect(answers.filter(({ answer }) => answer === 'held')).toHaveLength(3);
    const positions = answers.flatMap(({ position }) => position ?? []).sort((a, b) => a - b);
    expect(positions).toEqual(Array.from({ length: 97 }, (_, n) => n + 1));
  });

  it('serve the line in order, one for each place', async () => {
    limit = 1;
    for (const n of [0, 1, 2]) await take(n);
    expect((await slots.release(KEY, lease(0), aCause())).events.map((event) => event.detail.data)).toEqual([
      { slotKey: KEY, taskId: idOf(1), attempt: 1 },
    ]);
    expect(await holders()).toEqual([lease(1)]);
  });

  // F10
  it('wake exactly one for each of several places that become free at once', async () => {
    for (let n = 0; n < 10; n++) await take(n);
    const told = await Promise.all([0, 1, 2].map((n) => slots.release(KEY, lease(n), aCause())));
    const woken = new Set(told.flatMap(({ events }) => events.map((event) => event.id)));
    expect(woken.size).toBe(3);
    expect((await holders()).sort()).toEqual([lease(3), lease(4), lease(5)].sort());
  });

  it('give a place back once, however many return it at once', async () => {
    limit = 1;
    for (const n of [0, 1, 2]) await take(n);
    await Promise.all(Array.from({ length: 20 }, () => slots.release(KEY, lease(0), aCause())));
    expect(await holders()).toEqual([lease(1)]);
  });

  it('give who died after taking its place the same place again', async () => {
    limit = 1;
    await take(0);
    expect(await take(0)).toMatchObject({ answer: 'held' });
    expect(await holders()).toEqual([lease(0)]);
  });

  it('say a grant to every operation until it is confirmed', async () => {
    limit = 1;
    for (const n of [0, 1]) await take(n);
    await slots.release(KEY, lease(0), aCause());
    const [again] = (await slots.check(KEY, aCause('other'))).events;
    expect(again).toMatchObject({ 'detail-type': 'SlotGranted', detail: { data: { taskId: idOf(1) } } });
    expect((await slots.confirm(KEY, lease(1), aCause())).events).toEqual([]);
    expect((await slots.check(KEY, aCause())).events).toEqual([]);
    expect(await holders()).toEqual([lease(1)]);
  });

  // F8
  it('find a holder that can never use its place, when somebody needs it', async () => {
    limit = 1;
    await take(0);
    states.set(idOf(0), aTask({ status: 'FAILED', taskId: idOf(0), settledAt: at(1) }));
    expect((await take(1)).answer).toBe('held');
    expect(await holders()).toEqual([lease(1)]);
  });

  it('do not take a place from a task that works', async () => {
    limit = 1;
    await take(0);
    expect((await take(1)).answer).toBe('waiting');
    await slots.check(KEY, aCause());
    expect(await holders()).toEqual([lease(0)]);
  });

  it('follow a limit that is changed when they are checked', async () => {
    limit = 1;
    for (const n of [0, 1, 2]) await take(n);
    limit = 2;
    expect((await slots.check(KEY, aCause())).events).toHaveLength(1);
    limit = 0;
    await slots.check(KEY, aCause());
    expect(await holders()).toHaveLength(2);
  });

  it('do nothing for a lease that has nothing', async () => {
    await take(0);
    const before = await present.store.get(slotKey(KEY));
    expect((await slots.release(KEY, lease(9), aCause())).events).toEqual([]);
    expect(await present.store.get(slotKey(KEY))).toEqual(before);
  });

  it('keep their line over a restart', async () => {
    limit = 1;
    for (const n of [0, 1, 2]) await take(n);
    await present.store.durable();
    await present.reopen();
    expect(waitersInOrder(await slot())).toEqual([lease(1), lease(2)]);
  });

  describe('under a storm of takers, leavers and the dead', () => {
    it('neither drift nor forget', async () => {
      const all = Array.from({ length: 40 }, (_, n) => n);
      await Promise.all(all.map((n) => take(n, n % 3)));
      for (let round = 0; round < 20; round++) {
        const now = await holders();
        expect(now.length).toBeLessThanOrEqual(3);
        await Promise.all(now.map((one) => slots.release(KEY, one, aCause())));
      }
      expect(await slot()).toMatchObject({ holders: {}, waiters: {} });
    });
  });
});

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { backOff } from '../../../runtime/aws/adapters/slots.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../../runtime/ports.ts';
import { slotKey } from '../../../runtime/records.ts';
import { slotsOver } from '../../../runtime/slots.ts';
import type { Slot } from '../../../schemas/slot.ts';
import { leaseOf } from '../../../schemas/slot.ts';
import { aCause, aTaskId, at } from '../../builders.ts';

const KEY = 'user:ada';
const BURST = 100;

/** A store that is a network away, as the table is from a function. */
function remote(store: RecordStore): RecordStore {
  const near = async <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    await sleep(2 + Math.random() * 4);
    return work();
  };
  return { ...store, get: (key) => near(() => store.get(key)), put: (...words) => near(() => store.put(...words)) };
}

/** Every task in a function of its own: nothing but the conditional write keeps them apart. */
function burst(pause?: (lost: number) => Promise<unknown>) {
  const store = memoryStore();
  const taking = Array.from({ length: BURST }, (_, number) => {
    const slots = slotsOver({
      store: remote(store),
      tasks: { get: async () => undefined },
      clock: { now: () => at(0) },
      limitOf: () => BURST,
      ...(pause ? { pause } : {}),
    });
    const lease = leaseOf(aTaskId(`n${String(number).padStart(3, '0')}`), 1);
    return slots.take(KEY, lease, { priority: 0, cause: aCause(`take-${number}`), correlationId: 'c' });
  });
  return { store, taken: Promise.allSettled(taking) };
}

// F4, F9
describe('a burst of tasks of one user on AWS', () => {
  it('gets its slots at once: nobody spends all tries against the others', async () => {
    const { store, taken } = burst(backOff);
    expect((await taken).filter(({ status }) => status === 'rejected')).toEqual([]);
    const slot = (await store.get(slotKey(KEY)))?.value as Slot;
    expect(Object.keys(slot.holders)).toHaveLength(BURST);
  });

  it('would not without the wait between two tries', async () => {
    const refusals = (await burst().taken).flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
    expect(refusals.length).toBeGreaterThan(0);
    expect(new Set(refusals)).toEqual(new Set(['contention']));
  });
});

import { describe, expect, it } from '@jest/globals';
import { slotGranted } from '../../../events/slot-granted.ts';
import { memoryArchive } from '../../../runtime/engine/memory-archive.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { undoneIn } from '../../../runtime/engine/undone.ts';
import type { RecordStore } from '../../../runtime/ports.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import { parseLease } from '../../../schemas/slot.ts';
import { anEvent } from '../../builders.ts';
import { anEngine, runAt } from './engine-fixture.ts';
import { virtualTime } from './virtual-time.ts';

async function undoneOf(store: RecordStore, events: readonly Envelope[]): Promise<string[]> {
  const isUndone = undoneIn(store);
  const undone: string[] = [];
  for (const event of events) if (await isUndone(event)) undone.push(event['detail-type']);
  return undone;
}

/** One task ran and settled, the next took its slot, and a third waits. */
async function lived() {
  const time = virtualTime();
  const archive = memoryArchive(time.nowMs);
  const world = anEngine({ time, archive });
  const first = await world.submit('first');
  await world.submit('second');
  await world.submit('third');
  // What the disk had before the last steps.
  const early = await copyOf(world.store);
  await world.comesUp(runAt(world.compute, 0));
  await world.reports(runAt(world.compute, 0));
  await world.exits(runAt(world.compute, 0));
  await time.pass(2);
  const events: Envelope[] = [];
  for await (const slice of archive.slices(0, Number.MAX_SAFE_INTEGER)) events.push(...slice.events);
  return { ...world, early, events, tasks: { first } };
}

async function copyOf(store: RecordStore): Promise<RecordStore> {
  const copy = memoryStore();
  for (const { key, value } of await store.list('', { limit: 10_000 })) await copy.put(key, value, 'any');
  return copy;
}

describe('what an archive tells', () => {
  it('was done, where the disk has all of it', async () => {
    const { store, events } = await lived();
    expect(events.length).toBeGreaterThan(10);
    expect(await undoneOf(store, events)).toEqual([]);
  });

  it('was not done, where the disk has only the steps before: neither those facts, nor the grant of the slot', async () => {
    const { early, events } = await lived();
    const undone = await undoneOf(early, events);
    expect(undone).toEqual(expect.arrayContaining(['TaskCompleted', 'TaskSettled', 'SlotGranted']));
    expect(undone).not.toEqual(expect.arrayContaining(['TaskSubmitted']));
    // What runs and back ends say of themselves is no step.
    expect(undone.filter((type) => /^(RunClaimed|RunReported|ECS )/.test(type))).toEqual([]);
  });

  it('was not done at all, where the disk knows nothing of the task', async () => {
    const { events } = await lived();
    expect(await undoneOf(memoryStore(), events)).toEqual(expect.arrayContaining(['TaskSubmitted', 'TaskAdmitted']));
  });

  it('was not done, where a task has ended and its end is not settled on the disk', async () => {
    const { store, events, tasks, task } = await lived();
    const settled = await task(tasks.first);
    const { settledAt: _settledAt, ...ended } = settled as { settledAt: string };
    const copy = await copyOf(store);
    await copy.put(`TASK#${tasks.first}`, ended, 'any');
    expect(await undoneOf(copy, events)).toEqual(['TaskSettled']);
  });

  it('was not done, where a grant names a slot that still lets its task wait', async () => {
    const { store, slot } = await lived();
    const { holders = {}, waiters = {} } = (await slot()) ?? {};
    const granted = (leases: object) => {
      const { taskId, attempt } = parseLease(Object.keys(leases)[0] ?? '');
      return anEvent(slotGranted.of({ slotKey: 'user:ada', taskId, attempt }), { taskId });
    };
    expect(await undoneOf(store, [granted(holders)])).toEqual([]);
    expect(await undoneOf(store, [granted(waiters)])).toEqual(['SlotGranted']);
  });
});

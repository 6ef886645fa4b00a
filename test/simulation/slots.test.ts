import { describe, expect, it } from '@jest/globals';
import { isStale } from '../../lifecycle/slot-decisions.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import { slotKey } from '../../runtime/records.ts';
import { seededRandom } from '../../runtime/simulation/random.ts';
import { slotsOver } from '../../runtime/slots.ts';
import { leaseOf, parseLease, type Slot } from '../../schemas/slot.ts';
import type { Task } from '../../schemas/task.ts';
import { taskId as taskIdSchema } from '../../schemas/task-id.ts';
import { aTask, at } from '../builders.ts';

const OPERATIONS = 100_000;
const KEY = 'user:sim';
const LIMIT = 5;
const TASKS = 40;
const WRITERS = 4;

/** What a task does with its slot, as far as the slot can see: wants one, holds one, is over. */
type Stage = 'wants' | 'holds' | 'over';

const overTask = aTask({ status: 'CANCELLED', settledAt: at(9) });
const waitingTask = aTask({ status: 'QUEUED' });

/**
 * Many tasks on one key, each asking, holding, ending, some without giving back; four writers at once, so that reads and writes of
 * different operations mix. `next` starts one operation.
 */
function crowd(seed: string) {
  const random = seededRandom(seed);
  const raw = memoryStore();
  /** Gives others a turn before each call, like a table across a network. */
  const store: RecordStore = {
    ...raw,
    get: async (key) => {
      await Promise.resolve();
      return raw.get(key);
    },
    put: async (...asked) => {
      for (let turns = random.int(0, 3); turns > 0; turns--) await Promise.resolve();
      return raw.put(...asked);
    },
  };
  const stages = new Map<string, Stage>();
  const generations = Array.from({ length: TASKS }, () => 1);
  const asked = new Map<string, number>();
  let limit = LIMIT;
  let operations = 0;
  const taskOf = (taskId: string): Task | undefined => {
    const stage = stages.get(taskId);
    if (!stage) return undefined;
    return { ...(stage === 'over' ? overTask : waitingTask), taskId: taskIdSchema.parse(taskId) };
  };
  const slots = slotsOver({
    store,
    tasks: { get: async (taskId) => taskOf(taskId) },
    clock: { now: () => new Date(Date.UTC(2030, 0, 1) + operations).toISOString() },
    limitOf: () => limit,
  });
  const cause = { id: 'crowd', type: 'Crowd' };
  const granted = new Set<string>();
  const hear = (said: { events: readonly { detail: { data: unknown } }[] }): void => {
    for (const { detail } of said.events) granted.add((detail.data as { taskId: string }).taskId);
  };
  const idAt = (place: number): string =>
    `t${String(place).padStart(3, '0')}x${generations[place] ?? 0}`.padEnd(25, '0');

  async function next(): Promise<void> {
    operations++;
    const place = random.int(0, TASKS - 1);
    const taskId = idAt(place);
    const lease = leaseOf(taskId, 1);
    switch (stages.get(taskId)) {
      case undefined: {
        stages.set(taskId, 'wants');
        asked.set(taskId, operations);
        const taken = await slots.take(KEY, lease, { priority: 0, cause, correlationId: taskId });
        if (taken.answer === 'held' && stages.get(taskId) === 'wants') stages.set(taskId, 'holds');
        return hear(taken.said);
      }
      case 'wants':
        if (granted.has(taskId)) {
          stages.set(taskId, 'holds');
          return hear(await slots.confirm(KEY, lease, cause));
        }
        if (random.chance(0.02)) return end(place, taskId, lease);
        if (random.chance(0.1)) return hear(await slots.check(KEY, cause));
        // The same request again, as a duplicate delivery would.
        return hear((await slots.take(KEY, lease, { priority: 0, cause, correlationId: taskId })).said);
      case 'holds':
        return random.chance(0.3) ? end(place, taskId, lease) : hear(await slots.confirm(KEY, lease, cause));
      case 'over':
        return;
    }
  }

  /** Ends a task; one in four dies before it gives its slot back. */
  async function end(place: number, taskId: string, lease: string): Promise<void> {
    stages.set(taskId, 'over');
    asked.delete(taskId);
    generations[place] = (generations[place] ?? 0) + 1;
    if (!random.chance(0.25)) hear(await slots.release(KEY, lease, cause));
    if (random.chance(0.1)) hear(await slots.release(KEY, lease, cause));
  }

  return {
    next,
    taskOf,
    random,
    asked,
    setLimit: (to: number) => {
      limit = to;
    },
    operations: () => operations,
    check: async () => hear(await slots.check(KEY, cause)),
    slot: async () => (await raw.get(slotKey(KEY)))?.value as Slot | undefined,
  };
}

describe(`a slot key under ${OPERATIONS} random operations of ${WRITERS} writers at once`, () => {
  it('never has more holders than places, drops nobody, and forgets nobody', async () => {
    const sim = crowd('slots');
    let longest = 0;
    while (sim.operations() < OPERATIONS) {
      await Promise.all(Array.from({ length: WRITERS }, sim.next));
      const slot = await sim.slot();
      if (!slot) continue;
      const holders = Object.keys(slot.holders);
      if (holders.length > LIMIT) throw new Error(`${holders.length} holders after ${sim.operations()} operations`);
      if (holders.length < LIMIT && Object.keys(slot.waiters).length > 0)
        throw new Error('somebody waits beside a free place');
      for (const [taskId, since] of sim.asked) {
        longest = Math.max(longest, sim.operations() - since);
        const lease = leaseOf(taskId, 1);
        if (!slot.holders[lease] && !slot.waiters[lease]) throw new Error(`${taskId} was dropped`);
      }
    }
    // Nobody waits for ever: the line moves, whatever becomes of those before one.
    expect(longest).toBeLessThan(OPERATIONS / 10);
    for (let look = 0; look < 10; look++) await sim.check();
    const slot = await sim.slot();
    const unfounded = Object.keys(slot?.holders ?? {}).filter((lease) =>
      isStale(lease, sim.taskOf(parseLease(lease).taskId)),
    );
    if (Object.keys(slot?.waiters ?? {}).length > 0) expect(unfounded).toEqual([]);
  }, 60_000);
});

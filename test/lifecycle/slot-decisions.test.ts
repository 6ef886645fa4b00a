import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  decideSlot,
  emptySlot,
  isFree,
  isStale,
  type SlotRequest,
  STALE_CHECK_MAX,
  suspects,
  waitersInOrder,
} from '../../lifecycle/slot-decisions.ts';
import {
  GRANTS_MAX,
  leaseOf,
  SLOT_HOLDERS_MAX,
  SLOT_WAITERS_MAX,
  type Slot,
  slot as slotSchema,
} from '../../schemas/slot.ts';
import { aCause, aKnownRun, aTask, aTaskId, at } from '../builders.ts';

const context = { at: at(0), cause: aCause() };
const lease = (name: string) => leaseOf(aTaskId(name), 1);
const [red, green, gray, amber] = [lease('red'), lease('green'), lease('gray'), lease('amber')];
const take = (of: string, priority = 0): SlotRequest => ({ kind: 'take', lease: of, priority, correlationId: 'c' });
const release = (of: string): SlotRequest => ({ kind: 'release', lease: of });
const following = (slot: Slot, ...requests: SlotRequest[]): Slot =>
  requests.reduce((now, request) => decideSlot(now, request, context).slot, slot);

describe('a key with a free place', () => {
  it('gives it to who asks', () => {
    const decided = decideSlot(emptySlot('k', 1), take(red), context);
    expect(decided).toMatchObject({ answer: 'held', changed: true, grants: [] });
    expect(decided.slot.holders[red]).toEqual({ since: at(0), priority: 0 });
  });

  it('gives it once, however often the same asks', () => {
    const held = following(emptySlot('k', 2), take(red));
    expect(decideSlot(held, take(red), context)).toMatchObject({ answer: 'held', changed: false });
  });
});

describe('two grants that nobody has confirmed', () => {
  const freed = { at: at(1), cause: aCause('freed') };
  const waiting = following(emptySlot('k', 2), take(red), take(green), take(gray), take(amber));
  const granted = decideSlot(decideSlot(waiting, release(red), freed).slot, release(green), freed).slot;
  const saidBy = (request: SlotRequest, cause: string) =>
    decideSlot(granted, request, { at: at(2), cause: aCause(cause) }).grants.length;

  it('are said again by a check', () => {
    expect(saidBy({ kind: 'fill' }, 'due')).toBe(2);
  });

  it('are said again when what freed their places is delivered again', () => {
    expect(saidBy(release(red), 'freed')).toBe(2);
  });

  it('are not said by others who use the key: confirmations would multiply each other', () => {
    expect(saidBy({ kind: 'confirm', lease: gray }, 'granted')).toBe(0);
    expect(saidBy(take(lease('teak')), 'asked')).toBe(0);
  });
});

describe('a limit that is raised by hundreds', () => {
  /** Longest that a configuration's name makes a key. */
  const key = `repository:${'x'.repeat(256)}`;
  const leases = Array.from({ length: SLOT_WAITERS_MAX }, (_, number) =>
    leaseOf(`t${String(number).padStart(24, '0')}`, 15),
  );
  const correlationId = 'c'.repeat(128);
  const waiting: Slot = {
    ...emptySlot(key, SLOT_HOLDERS_MAX),
    waiters: Object.fromEntries(leases.map((one, order) => [one, { since: at(0), priority: 9, order, correlationId }])),
    nextOrder: leases.length,
  };
  const cause = { id: 'i'.repeat(300), type: 'RepositoryConfigured' };

  it('lets a part of those who wait in at once, so that the item stays below the 400 KB of DynamoDB', () => {
    const filled = decideSlot(waiting, { kind: 'fill' }, { at: at(1), cause });
    expect(filled.grants).toHaveLength(GRANTS_MAX);
    expect(JSON.stringify(filled.slot).length).toBeLessThan(400 * 1024);
  });

  it('lets the others in as these confirm, until every place is taken, each told once', () => {
    let now = decideSlot(waiting, { kind: 'fill' }, { at: at(1), cause });
    const told = [...now.grants];
    let largest = 0;
    // Grows while it is walked: each confirmation may bring the next grant.
    for (const { fact } of told) {
      const { taskId, attempt } = fact.data as { taskId: string; attempt: number };
      const confirm: SlotRequest = { kind: 'confirm', lease: leaseOf(taskId, attempt) };
      now = decideSlot(now.slot, confirm, { at: at(2), cause: { ...cause, id: fact.id } });
      told.push(...now.grants);
      largest = Math.max(largest, JSON.stringify(now.slot).length);
    }
    expect(told).toHaveLength(SLOT_HOLDERS_MAX);
    expect(new Set(told.map(({ fact }) => fact.id)).size).toBe(SLOT_HOLDERS_MAX);
    expect(Object.keys(now.slot.holders)).toHaveLength(SLOT_HOLDERS_MAX);
    expect(isFree(now.slot)).toBe(false);
    expect(largest).toBeLessThan(400 * 1024);
  });
});

describe('a full key', () => {
  const full = following(emptySlot('k', 1), take(red));

  it('lets others wait, each knowing its place', () => {
    expect(decideSlot(full, take(green), context)).toMatchObject({ answer: 'waiting', position: 1 });
    expect(decideSlot(following(full, take(green)), take(gray), context)).toMatchObject({ position: 2 });
  });

  it('keeps one place in line for who asks again', () => {
    const waiting = following(full, take(green));
    expect(decideSlot(waiting, take(green), context)).toMatchObject({ answer: 'waiting', position: 1, changed: false });
  });

  // F9
  it('serves the line in the order of arrival', () => {
    const line = following(full, take(green), take(gray), take(amber), release(red));
    expect(Object.keys(line.holders)).toEqual([green]);
    expect(waitersInOrder(line)).toEqual([gray, amber]);
  });

  it('serves a higher priority first', () => {
    const line = following(full, take(green), take(gray, 5), release(red));
    expect(Object.keys(line.holders)).toEqual([gray]);
  });

  it('does not let a newcomer pass the line', () => {
    const line = following(full, take(green), release(red), take(gray));
    expect(Object.keys(line.holders)).toEqual([green]);
    expect(waitersInOrder(line)).toEqual([gray]);
  });

  it('turns away who finds the line at its bound', () => {
    const waiters = Object.fromEntries(
      Array.from({ length: SLOT_WAITERS_MAX }, (_, order) => [
        `w${order}#1`,
        { since: at(0), priority: 0, order, correlationId: 'c' },
      ]),
    );
    expect(decideSlot({ ...full, waiters }, take(gray), context)).toMatchObject({ answer: 'full', changed: false });
  });
});

describe('a place that becomes free', () => {
  const line = following(emptySlot('k', 1), take(red), take(green), take(gray));

  // F10
  it('wakes exactly one, whose grant is kept until confirmed', () => {
    const freed = decideSlot(line, release(red), context);
    expect(freed.grants.map(({ fact }) => fact.data)).toEqual([{ slotKey: 'k', taskId: aTaskId('green'), attempt: 1 }]);
    const again = decideSlot(freed.slot, release(red), context);
    expect(again).toMatchObject({ changed: false, grants: freed.grants });
    const confirmed = decideSlot(freed.slot, { kind: 'confirm', lease: green }, context);
    expect(confirmed.grants).toEqual([]);
    expect(Object.keys(confirmed.slot.holders)).toEqual([green]);
  });

  it('by a limit that was raised wakes as many as it adds', () => {
    const filled = decideSlot(line, { kind: 'fill', limit: 3 }, context);
    expect(filled.grants).toHaveLength(2);
    expect(Object.keys(filled.slot.waiters)).toEqual([]);
  });

  it('is not there while a lowered limit is exceeded', () => {
    const lowered = following(emptySlot('k', 3), take(red), take(green), take(gray), take(amber), {
      kind: 'fill',
      limit: 1,
    });
    expect(Object.keys(lowered.holders)).toHaveLength(3);
    const one = following(lowered, release(red), release(green));
    expect(Object.keys(one.holders)).toEqual([gray]);
    expect(Object.keys(following(one, release(gray)).holders)).toEqual([amber]);
  });

  it('by eviction of a holder goes to the line, not to who evicts', () => {
    const decided = decideSlot(line, take(amber), { ...context, stale: [red] });
    expect(decided).toMatchObject({ answer: 'waiting', position: 2 });
    expect(Object.keys(decided.slot.holders)).toEqual([green]);
  });
});

describe('a lease', () => {
  const over = aKnownRun({ ended: { at: at(1), proof: 'proven' } });

  it.each([
    ['of a task that nobody knows', undefined, true],
    ['of a task that waits', aTask({ status: 'QUEUED' }), false],
    ['of a task that works', aTask({ status: 'RUNNING' }), false],
    ['of a task that is stopped', aTask({ status: 'STOPPING' }), false],
    ['of a lost attempt that waits for the next', aTask({ status: 'BACKOFF' }), true],
    ['of an earlier attempt', aTask({ status: 'RUNNING', attempt: 2 }), true],
    ['of an ended task whose run lives', aTask({ status: 'FAILED' }), false],
    ['of an ended task whose run is over', aTask({ status: 'FAILED', run: over }), true],
    ['of a settled task', aTask({ status: 'FAILED', settledAt: at(1) }), true],
  ] as const)('%s is stale: %p', (_, task, stale) => {
    expect(isStale(red, task)).toBe(stale);
  });

  it('of the next attempt is not stale while its task waits for it', () => {
    expect(isStale(leaseOf(aTaskId(), 2), aTask({ status: 'BACKOFF' }))).toBe(false);
  });
});

describe('looking for stale leases', () => {
  it('examines a bounded number at once, and all of them in turn', () => {
    const holders = Object.fromEntries(
      Array.from({ length: 60 }, (_, n) => [`h${n}#1`, { since: at(0), priority: 0 }]),
    );
    const slot = { ...emptySlot('k', 60), holders };
    const seen = new Set<string>();
    for (let check = 0; check < 40; check++) {
      const some = suspects(slot, `alarm#t#${at(check * 30)}`);
      expect(some).toHaveLength(STALE_CHECK_MAX);
      for (const one of some) seen.add(one);
    }
    expect(seen.size).toBe(60);
  });
});

const names = ['red', 'green', 'gray', 'amber', 'sand', 'teak'].map((name) => lease(name));
const request: fc.Arbitrary<SlotRequest> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.constantFrom(...names), fc.integer({ min: 0, max: 2 })).map(([of, p]) => take(of, p)),
  },
  { weight: 4, arbitrary: fc.constantFrom(...names).map(release) },
  { weight: 2, arbitrary: fc.constantFrom(...names).map((of): SlotRequest => ({ kind: 'confirm', lease: of })) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 3 }).map((limit): SlotRequest => ({ kind: 'fill', limit })) },
);

describe('any sequence of requests to a key', () => {
  it('keeps every promise of the slots', async () => {
    await fc.assert(
      fc.property(fc.array(fc.tuple(request, fc.subarray(names, { maxLength: 2 })), { maxLength: 80 }), (requests) => {
        let slot = emptySlot('k', 2);
        for (const [asked, found] of requests) {
          // Only who needs a place looks for stale leases.
          const stale = asked.kind === 'take' || asked.kind === 'fill' ? found : [];
          const { slot: next, grants, answer, changed } = decideSlot(slot, asked, { ...context, stale });
          slotSchema.parse(next);
          const [before, holders] = [Object.keys(slot.holders), Object.keys(next.holders)];
          const entered = holders.filter((one) => !before.includes(one));
          // Nobody comes in above the limit.
          if (entered.length > 0) expect(holders.length).toBeLessThanOrEqual(next.limit);
          // Nobody holds and waits.
          expect(holders.filter((one) => next.waiters[one])).toEqual([]);
          // No place is free while somebody waits: nobody is forgotten.
          if (isFree(next)) expect(Object.keys(next.waiters)).toEqual([]);
          // Whoever came in from the line was told, once, and comes before all who still wait.
          const promoted = entered.filter(
            (one) => slot.waiters[one] && !(asked.kind === 'take' && stale.includes(one) && asked.lease === one),
          );
          for (const one of promoted) expect(next.holders[one]?.grant).toBeDefined();
          expect(new Set(grants.map(({ fact }) => fact.id)).size).toBe(grants.length);
          for (const one of promoted) {
            for (const left of Object.keys(next.waiters)) {
              const [a, b] = [slot.waiters[one], next.waiters[left]];
              if (a && b)
                expect(a.priority > b.priority || (a.priority === b.priority && a.order < b.order)).toBe(true);
            }
          }
          // Every grant that is not confirmed is said.
          expect(grants).toHaveLength(holders.filter((one) => next.holders[one]?.grant).length);
          // Asking again changes nothing.
          const again = decideSlot(next, asked, context);
          expect(again.changed).toBe(false);
          if (asked.kind === 'take') expect(again.answer).toBe(answer);
          expect(changed || next === slot).toBe(true);
          slot = next;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('gives every place back in the end', async () => {
    await fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
        let slot = following(emptySlot('k', 2), ...requests);
        for (let round = 0; round < names.length; round++) slot = following(slot, ...names.map(release));
        expect(slot.holders).toEqual({});
        expect(slot.waiters).toEqual({});
      }),
      { numRuns: 200 },
    );
  });
});

import {
  decideSlot,
  emptySlot,
  isFree,
  isStale,
  type SlotDecision,
  type SlotRequest,
  suspects,
} from '../lifecycle/slot-decisions.ts';
import type { Cause } from '../schemas/envelope.ts';
import { parseLease, type Slot } from '../schemas/slot.ts';
import { BatonError } from './errors.ts';
import { said } from './outcome.ts';
import type { Clock, RecordStore, Slots, Tasks } from './ports.ts';
import { grantEvent } from './published.ts';
import { DECIDE_TRIES, slotKey } from './records.ts';

export interface SlotsOver {
  readonly store: RecordStore;
  readonly tasks: Pick<Tasks, 'get'>;
  readonly clock: Clock;
  /** How many tasks of a key may hold a slot at once; read at every use. */
  readonly limitOf: (key: string) => number | Promise<number>;
  /** Waits before a write that lost against another's is decided again, the n-th time. Without it nothing waits: one process takes turns. */
  readonly pause?: (lost: number) => Promise<unknown>;
}

/** The slots port over any record store: one item per key, every change one conditional write. */
export function slotsOver({ store, tasks, clock, limitOf, pause }: SlotsOver): Slots {
  const latest = new Map<string, Promise<unknown>>();

  return {
    async take(key, lease, { priority, cause, correlationId }) {
      const decided = await change(key, { kind: 'take', lease, priority, correlationId }, cause);
      const answer = decided.answer === 'done' ? 'held' : decided.answer;
      return {
        answer,
        ...(decided.position === undefined ? {} : { position: decided.position }),
        // The taker itself has its answer; only others are told of their grants.
        said: said(decided.grants.map(grantEvent)),
      };
    },
    async holds(key, lease) {
      const slot = (await store.get(slotKey(key)))?.value as Slot | undefined;
      return slot?.holders[lease] !== undefined;
    },
    release: async (key, lease, cause) =>
      said((await change(key, { kind: 'release', lease }, cause)).grants.map(grantEvent)),
    confirm: async (key, lease, cause) =>
      said((await change(key, { kind: 'confirm', lease }, cause)).grants.map(grantEvent)),
    check: async (key, cause) => said((await change(key, { kind: 'fill' }, cause)).grants.map(grantEvent)),
  };

  /**
   * One at a time per key within this process: a hundred tasks of one user ask at once, and would otherwise write past each other
   * until their tries are spent. Between processes the conditional write decides.
   */
  function change(key: string, asked: SlotRequest, cause: Cause): Promise<SlotDecision> {
    const mine = (latest.get(key) ?? Promise.resolve()).then(() => decide(key, asked, cause));
    const turn = mine
      .catch(() => undefined)
      .then(() => {
        if (latest.get(key) === turn) latest.delete(key);
      });
    latest.set(key, turn);
    return mine;
  }

  async function decide(key: string, asked: SlotRequest, cause: Cause): Promise<SlotDecision> {
    for (let tries = 0; tries < DECIDE_TRIES; tries++) {
      const stored = await store.get(slotKey(key));
      const slot = (stored?.value as Slot | undefined) ?? emptySlot(key, await limitOf(key));
      const request = asked.kind === 'fill' ? { ...asked, limit: await limitOf(key) } : asked;
      const stale = needsEviction(slot, request) ? await staleLeases(slot, `${cause.id} ${clock.now()}`) : [];
      const decided = decideSlot(slot, request, { at: clock.now(), cause, stale });
      // Where nothing is stored yet, a fill stores the limit: who is just taking its place by the limit of before decides again.
      const isNew = request.kind === 'fill' && !stored;
      if (!decided.changed && !isNew) return decided;
      const written = await store.put(slotKey(key), decided.slot, stored?.revision ?? 'absent');
      if (written.outcome === 'written') return decided;
      await pause?.(tries + 1);
    }
    throw new BatonError(
      'contention',
      `slot key "${key}" was written by others ${DECIDE_TRIES} times during one ${asked.kind}`,
    );
  }

  async function staleLeases(slot: Slot, seed: string): Promise<string[]> {
    const stale: string[] = [];
    for (const lease of suspects(slot, seed)) {
      if (isStale(lease, await tasks.get(parseLease(lease).taskId))) stale.push(lease);
    }
    return stale;
  }
}

/** A lease is examined by the one who needs its place: a taker of a full key, or a check while others wait. */
const needsEviction = (slot: Slot, request: SlotRequest): boolean =>
  !isFree(slot) && (request.kind === 'take' || (request.kind === 'fill' && Object.keys(slot.waiters).length > 0));

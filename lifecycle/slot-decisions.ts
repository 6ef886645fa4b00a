import { slotGranted } from '../events/slot-granted.ts';
import type { Cause } from '../schemas/envelope.ts';
import { GRANTS_MAX, type Grant, leaseOf, parseLease, SLOT_WAITERS_MAX, type Slot } from '../schemas/slot.ts';
import type { Task } from '../schemas/task.ts';
import { isTerminal, runOf } from './states.ts';

/** What is asked of a key. Each is decided on the whole item and written by one conditional write. */
export type SlotRequest =
  | { readonly kind: 'take'; readonly lease: string; readonly priority: number; readonly correlationId: string }
  | { readonly kind: 'release'; readonly lease: string }
  | { readonly kind: 'confirm'; readonly lease: string }
  | { readonly kind: 'fill'; readonly limit?: number };

export interface SlotDecision {
  readonly slot: Slot;
  readonly changed: boolean;
  readonly answer: 'held' | 'waiting' | 'full' | 'done';
  /** Place in line, 1 is next; with `waiting`. */
  readonly position?: number;
  /**
   * Grants to say: those of this cause, which may be a redelivery; a check says every grant that no task has confirmed yet. If every
   * operation did, each confirmation would say the grants of others, and theirs this one: when functions are slow, that multiplies.
   */
  readonly grants: readonly Grant[];
}

export const emptySlot = (key: string, limit: number): Slot => ({ key, limit, holders: {}, waiters: {}, nextOrder: 1 });

/** Decides a request. `stale` names holders that can no longer come to hold their slot; they are evicted first. */
export function decideSlot(
  slot: Slot,
  request: SlotRequest,
  context: { at: string; cause: Cause; stale?: readonly string[] },
): SlotDecision {
  let next = evict(slot, context.stale ?? []);
  let answer: SlotDecision['answer'] = 'done';
  switch (request.kind) {
    case 'take':
      if (next.holders[request.lease]) answer = 'held';
      else if (next.waiters[request.lease]) answer = 'waiting';
      else if (isFree(next) && Object.keys(next.waiters).length === 0) {
        next = hold(next, request.lease, context.at, request.priority);
        answer = 'held';
      } else if (Object.keys(next.waiters).length >= SLOT_WAITERS_MAX) answer = 'full';
      else {
        next = enqueue(next, request, context.at);
        answer = 'waiting';
      }
      break;
    case 'release':
      next = without(next, request.lease);
      break;
    case 'confirm':
      next = confirmed(next, request.lease);
      break;
    case 'fill':
      if (request.limit !== undefined && request.limit !== next.limit) next = { ...next, limit: request.limit };
      break;
  }
  next = promote(next, context);
  if (request.kind === 'take' && answer === 'waiting' && next.holders[request.lease]) answer = 'held';
  const position = answer === 'waiting' && request.kind === 'take' ? placeOf(next, request.lease) : undefined;
  return {
    slot: next,
    changed: next !== slot,
    answer,
    ...(position === undefined ? {} : { position }),
    grants: Object.values(next.holders)
      .flatMap((one) => (one.grant ? [one.grant] : []))
      .filter((grant) => request.kind === 'fill' || grant.cause.id === context.cause.id),
  };
}

/** A lease is stale when its task can no longer come to hold the slot in this attempt. */
export function isStale(lease: string, task: Task | undefined): boolean {
  if (!task) return true;
  const { attempt } = parseLease(lease);
  if (task.attempt > attempt) return true;
  if (task.status === 'BACKOFF') return task.attempt === attempt;
  if (!isTerminal(task)) return false;
  const run = runOf(task);
  return task.settledAt !== undefined || run === undefined || run.ended !== undefined;
}

/** Holders to examine at once when a key is full: bounds the reads of one operation. */
export const STALE_CHECK_MAX = 25;

/** The holders that this operation examines: a window somewhere else with every operation, so that all get their turn. */
export function suspects(slot: Slot, seed: string): string[] {
  const leases = Object.keys(slot.holders);
  if (leases.length <= STALE_CHECK_MAX) return leases;
  const from = scattered(seed) % leases.length;
  return [...leases, ...leases].slice(from, from + STALE_CHECK_MAX);
}

/** A number that a text always has, and hardly another one has too (FNV-1a, 32 bits). */
export function scattered(seed: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < seed.length; at++) hash = Math.imul(hash ^ seed.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}

export const isFree = (slot: Slot): boolean => Object.keys(slot.holders).length < slot.limit;

export const waitersInOrder = (slot: Slot): string[] =>
  Object.entries(slot.waiters)
    .sort(([, a], [, b]) => b.priority - a.priority || a.order - b.order)
    .map(([lease]) => lease);

const placeOf = (slot: Slot, lease: string): number => waitersInOrder(slot).indexOf(lease) + 1;

const hold = (slot: Slot, lease: string, at: string, priority: number, grant?: Grant): Slot => ({
  ...slot,
  holders: { ...slot.holders, [lease]: { since: at, priority, ...(grant ? { grant } : {}) } },
});

const enqueue = (slot: Slot, { lease, priority, correlationId }: SlotRequest & { kind: 'take' }, at: string): Slot => ({
  ...slot,
  waiters: { ...slot.waiters, [lease]: { since: at, priority, order: slot.nextOrder, correlationId } },
  nextOrder: slot.nextOrder + 1,
});

function without(slot: Slot, lease: string): Slot {
  if (!slot.holders[lease] && !slot.waiters[lease]) return slot;
  const { [lease]: _held, ...holders } = slot.holders;
  const { [lease]: _waiting, ...waiters } = slot.waiters;
  return { ...slot, holders, waiters };
}

const evict = (slot: Slot, stale: readonly string[]): Slot => stale.reduce((rest, lease) => without(rest, lease), slot);

function confirmed(slot: Slot, lease: string): Slot {
  const held = slot.holders[lease];
  if (!held?.grant) return slot;
  const { grant: _grant, ...kept } = held;
  return { ...slot, holders: { ...slot.holders, [lease]: kept } };
}

/**
 * Free places go to the waiters in order; each promoted holder keeps the fact that tells its task. When very many places come free at once, the
 * first of them go now, and each confirmation gives the next.
 */
function promote(slot: Slot, { at, cause }: { at: string; cause: Cause }): Slot {
  let next = slot;
  let unconfirmed = Object.values(slot.holders).filter(({ grant }) => grant !== undefined).length;
  for (const lease of waitersInOrder(slot)) {
    if (!isFree(next) || unconfirmed >= GRANTS_MAX) break;
    unconfirmed++;
    const waiter = next.waiters[lease];
    if (!waiter) continue;
    const { taskId, attempt } = parseLease(lease);
    const fact = slotGranted.of({ slotKey: slot.key, taskId, attempt });
    const grant: Grant = {
      fact: {
        id: `${slot.key}#${leaseOf(taskId, attempt)}#SlotGranted`,
        type: fact.type,
        schemaVersion: slotGranted.version,
        data: fact.data,
      },
      at,
      cause,
      correlationId: waiter.correlationId,
    };
    next = hold(without(next, lease), lease, at, waiter.priority, grant);
  }
  return next;
}

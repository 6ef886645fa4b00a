import { workerQuarantined } from '../events/worker-quarantined.ts';
import {
  bootFailed,
  boots,
  claim,
  dispatch,
  dispatched,
  endSent,
  type FleetWaits,
  free,
  giveBack,
  goes,
  isMember,
  isOwnedBy,
  leaves,
  lookOrder,
  quarantine,
  register,
  returning,
  type WorkerDecision,
} from '../lifecycle/worker.ts';
import type { Cause } from '../schemas/envelope.ts';
import type { WorkerOwner } from '../schemas/ssm-command.ts';
import { FLEET_WORKERS_MAX, type FleetRecord, fleetOfSlotKey, type Worker } from '../schemas/worker.ts';
import { BatonError } from './errors.ts';
import { type Said, said } from './outcome.ts';
import type { Clock, RecordStore, WorkerAnswer, Workers } from './ports.ts';
import { looseEvent } from './published.ts';
import { DECIDE_TRIES, fleetKey, workerKey } from './records.ts';

/** Workers that are looked at together while an idle one is sought: few requests where most are idle, few rounds where most are not. */
const LOOK_AT_ONCE = 8;

export interface WorkersOver {
  readonly store: RecordStore;
  readonly clock: Clock;
  readonly waits: FleetWaits;
}

/**
 * The workers port over any record store: one record per worker, which is the truth, and one per fleet that lists who belongs to it. A
 * worker's own record is written first. A list that lags behind costs a look in vain or a place that nobody offers, never a claim; whoever
 * meets it mends it.
 */
export function workersOver({ store, clock, waits }: WorkersOver): Workers {
  return {
    get: async (worker) => workerIn(await store.get(workerKey(worker))),

    boots: (announced) => change(announced.worker, (known, at) => boots(known, { ...announced, at })),

    register: (announced) => listed(announced.worker, (known, at) => register(known, { ...announced, at })),
    bootFailed: (announced, reason) =>
      listed(announced.worker, (known, at) => bootFailed(known, { ...announced, at, reason })),

    async claim(fleet, owner) {
      for await (const worker of membersOf(fleet, owner)) {
        if (!claim(worker, { owner, at: clock.now() }, waits).next) continue;
        const id = worker.worker;
        // It may have been taken since.
        const { answer } = await change(id, (known, at) => (known ? claim(known, { owner, at }, waits) : TAKEN));
        if (answer === 'claimed') return id;
      }
      return undefined;
    },
    giveBack: (id, owner) => listed(id, (known, at) => giveBack(known, { owner, at })),
    async held(fleet, owner) {
      for await (const worker of membersOf(fleet, owner)) if (isOwnedBy(worker, owner)) return worker.worker;
      return undefined;
    },

    dispatch: (id, owner) => change(id, (known, at) => dispatch(known, { owner, at }, waits)),
    dispatched: (id, owner, commandId) => change(id, (known, at) => dispatched(known, { owner, at, commandId })),
    returning: (id, owner) => listed(id, (known, at) => returning(known, { owner, at })),
    endSent: (id, owner, commandId) => change(id, (known, at) => endSent(known, { owner, at, commandId })),
    free: (id, owner, exitCode) =>
      listed(id, (known, at) => free(known, { owner, at, ...(exitCode === undefined ? {} : { exitCode }) })),
    quarantine: (id, reason, owner) =>
      listed(id, (known, at) => quarantine(known, { at, reason, ...(owner ? { owner } : {}) })),
    told: async (id, about) => saidOf(workerIn(await store.get(workerKey(id))), about),
    leaves: (id, reason) => listed(id, (known, at) => leaves(known, { at, reason })),
    goes: (id, reason) => listed(id, (known, at) => goes(known, { at, reason })),
    capacityOf: async (fleet) => Object.keys((await fleetOf(fleet)).workers).length,
  };

  /** Who belongs to a fleet, in the order in which an attempt looks; who is listed and does not, is taken off the list. */
  async function* membersOf(fleet: string, owner: WorkerOwner): AsyncGenerator<Worker> {
    const order = lookOrder(Object.keys((await fleetOf(fleet)).workers), owner);
    for (let first = 0; first < order.length; first += LOOK_AT_ONCE) {
      const some = order.slice(first, first + LOOK_AT_ONCE);
      const found = await Promise.all(some.map(async (id) => [id, workerIn(await store.get(workerKey(id)))] as const));
      for (const [id, worker] of found) {
        if (worker && isMember(worker)) yield worker;
        else await delist(fleet, id);
      }
    }
  }

  /** Decides on the worker as it is, and writes it by one conditional write. */
  async function change<Answer extends string>(
    id: string,
    decide: (known: Worker | undefined, at: string) => WorkerDecision<Answer>,
  ): Promise<WorkerAnswer<Answer>> {
    for (let tries = 0; tries < DECIDE_TRIES; tries++) {
      const stored = await store.get(workerKey(id));
      const known = workerIn(stored);
      const { next, answer } = decide(known, clock.now());
      if (!next) return { answer, worker: known };
      const written = await store.put(workerKey(id), next, stored?.revision ?? 'absent');
      if (written.outcome === 'written') return { answer, worker: next };
    }
    throw new BatonError('contention', `worker ${id} was written by others ${DECIDE_TRIES} times`);
  }

  /** The list of the fleet follows the worker. */
  async function listed<Answer extends string>(
    id: string,
    decide: (known: Worker | undefined, at: string) => WorkerDecision<Answer>,
  ): Promise<WorkerAnswer<Answer>> {
    const done = await change(id, decide);
    const { worker } = done;
    if (worker && isMember(worker)) await enlist(worker);
    else if (worker && worker.state !== 'booting') await delist(worker.fleet, id);
    return done;
  }

  async function fleetOf(fleet: string): Promise<FleetRecord> {
    return fleetIn(await store.get(fleetKey(fleet)), fleet);
  }

  function enlist({ fleet, worker, since }: Worker): Promise<void> {
    return changeList(fleet, (workers) => {
      if (workers[worker]) return undefined;
      if (Object.keys(workers).length >= FLEET_WORKERS_MAX) {
        throw new BatonError('bad_configuration', `fleet "${fleet}" has more than ${FLEET_WORKERS_MAX} workers`);
      }
      return { ...workers, [worker]: { since } };
    });
  }

  function delist(fleet: string, worker: string): Promise<void> {
    return changeList(fleet, (workers) => {
      const { [worker]: known, ...others } = workers;
      return known ? others : undefined;
    });
  }

  async function changeList(
    fleet: string,
    next: (workers: FleetRecord['workers']) => FleetRecord['workers'] | undefined,
  ): Promise<void> {
    for (let tries = 0; tries < DECIDE_TRIES; tries++) {
      const stored = await store.get(fleetKey(fleet));
      const workers = next(fleetIn(stored, fleet).workers);
      if (!workers) return;
      const written = await store.put(fleetKey(fleet), { fleet, workers }, stored?.revision ?? 'absent');
      if (written.outcome === 'written') return;
    }
    throw new BatonError('contention', `the list of fleet "${fleet}" was written by others ${DECIDE_TRIES} times`);
  }
}

/** The limit of a slot key: of a fleet's as many as it has workers, of others what they have. */
export const placesOver =
  (workers: Pick<Workers, 'capacityOf'>, others: (key: string) => number | Promise<number>) =>
  (key: string): number | Promise<number> => {
    const fleet = fleetOfSlotKey(key);
    return fleet === undefined ? others(key) : workers.capacityOf(fleet);
  };

const TAKEN: WorkerDecision<'taken'> = { answer: 'taken' };

/** The control plane alone writes these records, so what is read is what was written. */
const workerIn = (stored: Stored): Worker | undefined => stored?.value as Worker | undefined;
const fleetIn = (stored: Stored, fleet: string): FleetRecord =>
  (stored?.value as FleetRecord | undefined) ?? { fleet, workers: {} };
type Stored = Awaited<ReturnType<RecordStore['get']>>;

/**
 * A worker is quarantined once, so the fact has its name. One that leaves its fleet in order is no matter for anybody.
 */
function saidOf(worker: Worker | undefined, about: { readonly cause: Cause; readonly correlationId: string }): Said {
  if (worker?.state !== 'quarantined' || worker.leaving) return said([]);
  const { worker: id, fleet, reason, owner, since } = worker;
  const fact = workerQuarantined.of({ fleet, worker: id, reason, ...(owner ? { owner } : {}) });
  return said([looseEvent(fact, { ...about, id: `${id}#WorkerQuarantined`, at: since })]);
}

import { isOwnedBy } from '../lifecycle/worker.ts';
import { because } from '../schemas/reason.ts';
import type { WorkerOwner } from '../schemas/ssm-command.ts';
import type { FleetBackend, Machines, WorkerAnswer, Workers } from './ports.ts';
import { releaseWorker } from './worker-steps.ts';

/** How many workers a start claims that turn out to be about to be taken away; then the task waits for the others. */
const CLAIM_TRIES = 5;

export interface FleetClaimsOver {
  readonly workers: Workers;
  readonly machines: Pick<Machines, 'protect' | 'proceed'>;
  readonly warn: (message: string, cause?: unknown) => void;
}

/** Workers for attempts, whose machines stay for as long as they are theirs. */
export function fleetClaims({
  workers,
  machines,
  warn,
}: FleetClaimsOver & { readonly workers: ReleasingWorkers }): Pick<FleetBackend, 'claim' | 'giveBack'> {
  return { claim, giveBack };

  async function claim(fleet: string, owner: WorkerOwner): Promise<string | undefined> {
    for (let tries = 0; tries < CLAIM_TRIES; tries++) {
      const worker = await workers.claim(fleet, owner);
      if (worker === undefined || (await kept(worker, fleet, owner))) return worker;
      await workers.leaves(worker, because('host_lost', `The group of fleet "${fleet}" takes machine ${worker} away.`));
      await workers.giveBack(worker, owner);
    }
    return undefined;
  }

  /**
   * The group may have the machine again before the worker is anybody's: nobody would be told of one that was given back by somebody who
   * died then. And after it, where another delivery gave it back: what this one asked of the group may have come later.
   */
  async function giveBack(id: string, owner: WorkerOwner): Promise<void> {
    const worker = await workers.get(id);
    if (worker?.state === 'claimed' && isOwnedBy(worker, owner)) {
      await machines
        .protect(worker, false)
        .catch((cause) => warn(`the group of worker ${id} could not be told`, cause));
    }
    const { answer } = await workers.giveBack(id, owner);
    if (answer === 'already') await workers.release(id);
  }

  /** Whether a machine stays for the run that it is claimed for. Where nobody can say, the claim goes back; where that fails too, it lapses. */
  async function kept(worker: string, fleet: string, owner: WorkerOwner): Promise<boolean> {
    try {
      return await machines.protect({ worker, fleet }, true);
    } catch (error) {
      await workers.giveBack(worker, owner).catch((cause) => warn(`worker ${worker} could not be given back`, cause));
      throw error;
    }
  }
}

/** Workers whose machines' groups are told when they get free. */
export interface ReleasingWorkers extends Workers {
  /** Tells the group of a machine how its worker stands: whoever let go of the worker may have died before. */
  release(worker: string): Promise<void>;
}

/** The same workers, and whenever one gets free, its machine's group is told. That it was not is no reason to do the rest again. */
export function releasing({ workers, machines, warn }: FleetClaimsOver): ReleasingWorkers {
  return {
    ...workers,
    release,
    free: async (worker, ...given) => told(worker, await workers.free(worker, ...given)),
    giveBack: async (worker, ...given) => told(worker, await workers.giveBack(worker, ...given)),
    returning: async (worker, ...given) => told(worker, await workers.returning(worker, ...given)),
    quarantine: async (worker, ...given) => told(worker, await workers.quarantine(worker, ...given)),
  };

  async function told<Answer extends WorkerAnswer<string>>(id: string, done: Answer): Promise<Answer> {
    if (FREED.has(done.answer)) await release(id);
    return done;
  }

  async function release(id: string): Promise<void> {
    try {
      await releaseWorker({ workers, machines }, id);
    } catch (error) {
      warn(`the group of worker ${id} could not be told that it is free`, error);
    }
  }
}

/** Answers by which a worker has no owner any more. */
const FREED: ReadonlySet<string> = new Set(['freed', 'unsent', 'quarantined']);

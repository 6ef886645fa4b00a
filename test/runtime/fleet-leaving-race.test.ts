import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { isOwned } from '../../lifecycle/worker.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { Machines, RecordStore } from '../../runtime/ports.ts';
import { releaseWorker } from '../../runtime/worker-steps.ts';
import { because } from '../../schemas/reason.ts';
import { FLEET, fleetScene, ownerNo, workerNo } from './fleet-scene.ts';

const leaving = because('host_lost', 'Auto Scaling takes it away.');

/** How often each asks for the one worker there is: so that it is taken again while it is being given back. */
const CLAIMS = 6;

/** A fleet of one worker over records and a group whose every call waits for its turn, once `go` was called. */
async function scheduledScene(scheduler: fc.Scheduler) {
  const plain = memoryStore({ recordLog: false, freezeValues: true });
  let scheduled = false;
  const inTurn =
    <Given extends unknown[], Answer>(call: (...given: Given) => Promise<Answer>) =>
    async (...given: Given): Promise<Answer> => {
      if (scheduled) await scheduler.schedule(Promise.resolve());
      return call(...given);
    };
  const store: RecordStore = { ...plain, get: inTurn(plain.get), put: inTurn(plain.put) };
  const scene = await fleetScene({ store });
  const { machines } = scene.scaling;
  const group: Machines = { ...machines, protect: inTurn(machines.protect), proceed: inTurn(machines.proceed) };
  return {
    ...scene,
    group,
    /** Runs all of it, in an order that the property chooses. */
    async go(acts: readonly (() => Promise<unknown>)[]): Promise<void> {
      scheduled = true;
      await scheduler.waitFor(Promise.all(acts.map((act) => act())));
      scheduled = false;
    },
  };
}

describe('in whatever order a worker is taken, given back, and taken away', () => {
  it('its machine is kept while it has an owner, and no longer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), fc.boolean(), async (scheduler, tasks, all) => {
        const scene = await scheduledScene(scheduler);
        const { workers, group } = scene;
        const ports = { workers, machines: group };
        const use = async (n: number): Promise<void> => {
          let worker: string | undefined;
          for (let tries = 0; tries < CLAIMS && worker === undefined; tries++) {
            worker = await workers.claim(FLEET, ownerNo(n));
          }
          if (worker === undefined) return;
          await group.protect({ worker, fleet: FLEET }, true);
          // The last one keeps it, where not all of them end.
          if (n === tasks - 1 && !all) return;
          await workers.giveBack(worker, ownerNo(n));
          await releaseWorker(ports, worker);
        };
        // As one does who hears once more of an end that another has seen to.
        const late = () => releaseWorker(ports, workerNo(0));
        await scene.go([...Array.from({ length: tasks }, (_, n) => () => use(n)), late]);
        const now = await workers.get(workerNo(0));
        expect(scene.scaling.isKept(workerNo(0))).toBe(now !== undefined && isOwned(now));
      }),
      { numRuns: 300 },
    );
  });

  // B39, F32
  it('a machine that is to go goes once nobody has its worker, and not before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.boolean(), fc.boolean(), async (scheduler, begins, twice) => {
        const scene = await scheduledScene(scheduler);
        const { workers, group, scaling } = scene;
        const early: string[] = [];
        const machines = {
          ...group,
          proceed: async (machine: Parameters<Machines['proceed']>[0], to: 'launch' | 'terminate') => {
            const now = await workers.get(machine.worker);
            if (now && isOwned(now)) early.push(now.state);
            return group.proceed(machine, to);
          },
        };
        const ports = { workers, machines };
        const use = async (): Promise<void> => {
          const worker = await workers.claim(FLEET, ownerNo(0));
          if (worker === undefined) return;
          const { answer } = await workers.dispatch(worker, ownerNo(0));
          if (answer === 'send' && !begins) return;
          if (answer === 'send') await workers.free(worker, ownerNo(0), 0);
          else await workers.giveBack(worker, ownerNo(0));
          await releaseWorker(ports, worker);
        };
        // As `heed-termination` does.
        const take = async (): Promise<void> => {
          await workers.leaves(workerNo(0), leaving);
          const now = await workers.get(workerNo(0));
          if (now && !isOwned(now)) await machines.proceed({ worker: workerNo(0), fleet: FLEET }, 'terminate');
        };
        await scene.go([use, take, ...(twice ? [take] : [])]);
        const now = await workers.get(workerNo(0));
        expect(early).toEqual([]);
        expect(now).toMatchObject({ leaving: {} });
        expect(scaling.calls.includes(`terminate ${workerNo(0)} of ${FLEET}`)).toBe(now?.state === 'quarantined');
        expect(await workers.claim(FLEET, ownerNo(5))).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });
});

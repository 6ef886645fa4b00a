import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { awsFleetWaits } from '../../lifecycle/worker.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import { trouble } from '../commands-twin.ts';
import { aRunOn, FLEET, fleetScene, ownerNo, workerNo } from './fleet-scene.ts';

/** Every read and write waits for its turn, which the property chooses. */
function inTurns(store: RecordStore, scheduler: fc.Scheduler): RecordStore {
  const get = scheduler.scheduleFunction(store.get);
  const put = scheduler.scheduleFunction(store.put);
  return { ...store, get, put };
}

type Answer = 'started' | 'no worker' | 'in doubt' | 'refused' | 'lost';

describe('in whatever order reads and writes come', () => {
  const worlds = fc.record({
    scheduler: fc.scheduler(),
    workers: fc.integer({ min: 1, max: 3 }),
    tasks: fc.integer({ min: 1, max: 5 }),
    deliveries: fc.integer({ min: 1, max: 2 }),
    lostAnswers: fc.integer({ min: 0, max: 2 }),
    refusals: fc.integer({ min: 0, max: 1 }),
  });

  // B5, B6, promise 6
  it('N tasks on M workers send at the most M commands, one for each worker and each task', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async ({ scheduler, workers, tasks, deliveries, lostAnswers, refusals }) => {
        const plain = memoryStore({ recordLog: false, freezeValues: true });
        let scheduled = false;
        const turns = inTurns(plain, scheduler);
        const store: RecordStore = {
          ...plain,
          get: (...given) => (scheduled ? turns : plain).get(...given),
          put: (...given) => (scheduled ? turns : plain).put(...given),
        };
        const scene = await fleetScene({ store, workers });
        for (let n = 0; n < lostAnswers; n++) scene.twin.failNext('send', trouble('unavailable', true), true);
        for (let n = 0; n < refusals; n++) scene.twin.failNext('send', trouble('throttled'));
        scheduled = true;
        const deliver = async (n: number): Promise<Answer> => {
          const owner = ownerNo(n);
          const worker = await scene.workers.claim(FLEET, owner);
          if (worker === undefined) return 'no worker';
          try {
            const { outcome } = await scene.backend.start(
              aRunOn(scene.backend.handleOf({ worker, fleet: FLEET, owner })),
            );
            return outcome;
          } catch {
            return 'in doubt';
          }
        };
        const all = Array.from({ length: tasks }, (_, n) => Array.from({ length: deliveries }, () => deliver(n)));
        await scheduler.waitFor(Promise.all(all.flat()));
        scheduled = false;

        const machines = scene.twin.sent.map(({ instanceId }) => instanceId);
        expect(new Set(machines).size).toBe(machines.length);
        for (const { instanceId, comment } of scene.twin.sent) {
          const worker = await scene.workers.get(instanceId);
          expect(worker).toMatchObject({ owner: { attempt: 1 } });
          expect(worker && 'owner' in worker && `${worker.owner?.taskId}/1`).toBe(comment);
        }
        if (deliveries === 1) {
          const comments = scene.twin.sent.map(({ comment }) => comment);
          expect(new Set(comments).size).toBe(comments.length);
          if (refusals === 0) expect(comments).toHaveLength(Math.min(workers, tasks));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('a run that is stopped, asked about and told of at once gives its worker back once, and only when the host has said so', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.shuffledSubarray(['stop', 'stop', 'ask', 'event', 'next', 'next', 'notice'] as const, { minLength: 3 }),
        fc.boolean(),
        async (scheduler, acts, proven) => {
          const plain = memoryStore({ recordLog: false, freezeValues: true });
          let scheduled = false;
          const turns = inTurns(plain, scheduler);
          const store: RecordStore = {
            ...plain,
            get: (...given) => (scheduled ? turns : plain).get(...given),
            put: (...given) => (scheduled ? turns : plain).put(...given),
          };
          const scene = await fleetScene({ store });
          const { run, handle, commandId } = await scene.running();
          scene.twin.set(commandId, proven ? 'Failed' : 'Cancelled', proven ? 143 : undefined);
          const event = { 'command-id': commandId, 'document-name': 'd', 'instance-id': workerNo(0) };
          const gone = { code: 'spot_interrupted', message: 'soon' };
          scheduled = true;
          const done = acts.map(async (act, n) => {
            switch (act) {
              case 'stop':
                return void (await scene.backend.stop(handle, 'cancelled'));
              case 'ask':
                return void (await scene.backend.ask({ startedBy: run.startedBy, handle }));
              case 'event':
                return void (await scene.backend.observeCommand({ ...event, status: proven ? 'Failed' : 'Cancelled' }));
              case 'notice':
                return void (await scene.backend.observeNotice(workerNo(0), gone, true));
              case 'next': {
                const got = await scene.workers.claim(FLEET, ownerNo(10 + n));
                // Nobody else gets a worker without proof, however long a claim may be thought to be over.
                if (got !== undefined) expect(proven).toBe(true);
              }
            }
          });
          await scheduler.waitFor(Promise.all(done));
          scheduled = false;
          if (!proven) expect(await scene.workers.get(workerNo(0))).toMatchObject({ owner: ownerNo(0) });
          scene.pass(10 * awsFleetWaits.CLAIM_EXPIRY_S);
          if (!proven) expect(await scene.workers.claim(FLEET, ownerNo(99))).toBeUndefined();
        },
      ),
      { numRuns: 150 },
    );
  });
});

import { describe, expect, it } from '@jest/globals';
import { taskSettled } from '../../../events/task-settled.ts';
import { reactions } from '../../../handlers/index.ts';
import { assertTask } from '../../../lifecycle/evolve.ts';
import { defineRule } from '../../../rules/rule.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { BatonError, ComputeError, StoreError } from '../../../runtime/errors.ts';
import { said } from '../../../runtime/outcome.ts';
import type { RecordStore } from '../../../runtime/ports.ts';
import { react } from '../../../runtime/react.ts';
import { aFailedReport, anEcsEvent, anEvent } from '../../builders.ts';
import { computeTwin } from '../../compute-twin.ts';
import { anEngine, runAt } from './engine-fixture.ts';
import { virtualTime } from './virtual-time.ts';

type World = ReturnType<typeof anEngine>;

/** What is left in the store besides tasks, records of runs, keys of slots and journals. */
async function leftOvers({ store }: World): Promise<string[]> {
  const kept = ['TASK#', 'RUN#', 'SLOT#', 'JOURNAL#'];
  const all = await store.list('', { limit: 1000 });
  return all.map(({ key }) => key).filter((key) => !kept.some((prefix) => key.startsWith(prefix)));
}

describe.each([1, 2, 3])('a task whose every event is delivered %i times', (copies) => {
  const open = () => anEngine({ copies: () => copies });

  it('goes from request to settled, each fact said once', async () => {
    const world = open();
    const taskId = await world.submit('roof');
    const run = runAt(world.compute, 0);
    await world.comesUp(run);
    await world.reports(run);
    await world.exits(run);
    const task = await world.task(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', settledAt: expect.any(String), detectedBy: 'report', due: {} });
    expect(assertTask(task).history.map(({ to }) => to)).toEqual([
      'SUBMITTED',
      'ADMITTED',
      'HYDRATED',
      'STARTING',
      'RUNNING',
      'COMPLETED',
    ]);
    expect(new Set(world.facts(taskId)).size).toBe(world.facts(taskId).length);
    expect(world.facts(taskId)).toEqual(
      expect.arrayContaining([
        'TaskSubmitted',
        'TaskAdmitted',
        'TaskHydrated',
        'RunStarted',
        'TaskCompleted',
        'TaskSettled',
      ]),
    );
    expect(world.compute.calls.filter((call) => call.startsWith('start'))).toHaveLength(1);
    expect(await world.slot()).toMatchObject({ holders: {}, waiters: {} });
    expect(await leftOvers(world)).toEqual([]);
    expect(world.letters).toEqual([]);
  });

  it('fails with the reason of its agent', async () => {
    const world = open();
    const taskId = await world.submit('roof');
    const run = runAt(world.compute, 0);
    await world.comesUp(run);
    await world.reports(run, aFailedReport());
    await world.exits(run, 1);
    expect(await world.task(taskId)).toMatchObject({
      status: 'FAILED',
      reason: { code: 'agent_failed' },
      settledAt: expect.any(String),
    });
    expect(await leftOvers(world)).toEqual([]);
  });

  it('is cancelled while it runs: the run is stopped, and seen to stop', async () => {
    const world = open();
    const taskId = await world.submit('roof');
    await world.comesUp(runAt(world.compute, 0));
    await world.cancel(taskId);
    expect(runAt(world.compute, 0).phase).toBe('ended');
    // Its event was lost: the next look at the stop finds the end.
    await world.time.pass(60);
    expect(await world.task(taskId)).toMatchObject({
      status: 'CANCELLED',
      run: { ended: { proof: 'proven' } },
      settledAt: expect.any(String),
    });
    expect(world.facts(taskId)).not.toContain('TaskFailed');
    expect(await leftOvers(world)).toEqual([]);
  });

  it('is cancelled while it waits: no run ever starts', async () => {
    const world = open();
    await world.submit('first');
    const waiting = await world.submit('second');
    await world.cancel(waiting);
    expect(await world.task(waiting)).toMatchObject({ status: 'CANCELLED', settledAt: expect.any(String) });
    expect(world.compute.runs).toHaveLength(1);
    expect(Object.keys((await world.slot())?.waiters ?? {})).toEqual([]);
  });
});

// F9
describe('more tasks than places', () => {
  it('all run, in the order in which they came, never more at once than places', async () => {
    const world = anEngine({ limit: 2 });
    const ids: string[] = [];
    for (let n = 0; n < 8; n++) ids.push(await world.submit(`task-${n}`));
    for (let n = 0; n < 8; n++) {
      expect(world.compute.runs).toHaveLength(Math.min(n + 2, 8));
      const run = runAt(world.compute, n);
      expect(run.asked.taskId).toBe(ids[n]);
      await world.comesUp(run);
      await world.reports(run);
      await world.exits(run);
    }
    for (const id of ids) expect((await world.task(id))?.status).toBe('COMPLETED');
  });
});

// X7
describe('a hundred requests of one user at the same moment', () => {
  it('all find their place, without a dead letter', async () => {
    const world = anEngine({ limit: 10 });
    await Promise.all(Array.from({ length: 100 }, (_, n) => world.submit(`task-${n}`)));
    await world.time.quiet();
    const slot = await world.slot();
    expect(Object.keys(slot?.holders ?? {})).toHaveLength(10);
    expect(Object.keys(slot?.waiters ?? {})).toHaveLength(90);
    expect(world.letters).toEqual([]);
  });
});

// F22, X7
describe('a thousand requests with one key at the same moment', () => {
  it('are one task with one run', async () => {
    const world = anEngine({ limit: 10 });
    await Promise.all(Array.from({ length: 1000 }, () => world.submit('roof')));
    await world.time.quiet();
    expect(await world.store.list('TASK#', { limit: 9 })).toHaveLength(1);
    expect(world.facts().filter((fact) => fact === 'TaskSubmitted')).toHaveLength(1);
    expect(world.compute.calls).toHaveLength(1);
    expect(Object.keys((await world.slot())?.holders ?? {})).toHaveLength(1);
    expect(world.letters).toEqual([]);
  });
});

describe('a start that never succeeds', () => {
  // F19
  it('ends the task after its attempts, and says why', async () => {
    const world = anEngine();
    world.compute.failStarts(new ComputeError('compute_throttled', 'Rate exceeded'));
    const taskId = await world.submit('roof');
    await world.time.pass(300);
    expect(await world.task(taskId)).toMatchObject({
      status: 'FAILED',
      attempt: 3,
      reason: { code: 'start_lost' },
      settledAt: expect.any(String),
    });
    expect(world.letters.map(({ rule }) => rule)).toEqual(Array(3).fill('start-run-on-ecs'));
    expect(await world.slot()).toMatchObject({ holders: {}, waiters: {} });
  });
});

describe('a run that vanishes without a sign', () => {
  // F4, F24
  it('is asked about when its time is up, and tried again from its saved work', async () => {
    const world = anEngine();
    const taskId = await world.submit('roof');
    world.compute.forget();
    await world.time.pass(30);
    expect(world.compute.calls.some((call) => call.startsWith('ask'))).toBe(true);
    const second = runAt(world.compute, 0);
    expect(second.asked).toMatchObject({ attempt: 2, startedBy: `baton/test/${taskId}/2` });
    await world.comesUp(second);
    await world.reports(second);
    await world.exits(second);
    expect(await world.task(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2, settledAt: expect.any(String) });
    expect(await leftOvers(world)).toEqual([]);
  });

  it('every time ends the task when no attempt is left', async () => {
    const world = anEngine();
    const taskId = await world.submit('roof', { attempts: 2 });
    for (let n = 0; n < 30; n++) {
      world.compute.forget();
      await world.time.pass(10);
    }
    expect(await world.task(taskId)).toMatchObject({ status: 'FAILED', attempt: 2, settledAt: expect.any(String) });
    expect(world.facts(taskId).filter((fact) => fact === 'TaskFailed')).toHaveLength(1);
  });
});

describe('a run that outlives its task', () => {
  it('is stopped when the grace after the report is over', async () => {
    const world = anEngine();
    const taskId = await world.submit('roof');
    const run = runAt(world.compute, 0);
    await world.comesUp(run);
    await world.reports(run);
    expect(await world.task(taskId)).toMatchObject({ status: 'COMPLETED' });
    expect(await world.task(taskId)).not.toHaveProperty('settledAt');
    await world.time.pass(200);
    expect(run.phase).toBe('ended');
    expect(await world.task(taskId)).toMatchObject({
      settledAt: expect.any(String),
      run: { ended: { proof: 'proven' } },
    });
  });

  // F13
  it('and does not stop is reported as an orphan, and the slot goes on', async () => {
    const world = anEngine();
    world.compute.ignoreStops();
    const taskId = await world.submit('roof');
    const next = await world.submit('door');
    await world.comesUp(runAt(world.compute, 0));
    await world.cancel(taskId);
    await world.time.pass(400);
    expect(await world.task(taskId)).toMatchObject({
      status: 'CANCELLED',
      settledAt: expect.any(String),
      run: { ended: { proof: 'given_up' } },
    });
    expect(world.facts(taskId).filter((fact) => fact === 'RunOrphaned')).toHaveLength(1);
    expect((await world.task(next))?.status).toBe('STARTING');
  });
});

describe('a task whose time is up', () => {
  it.each([
    ['while it runs', true],
    ['while it starts', false],
  ])('%s is timed out, and its run stopped', async (_, comesUp) => {
    const world = anEngine();
    const taskId = await world.submit('roof', { timeoutSeconds: 600 });
    if (comesUp) await world.comesUp(runAt(world.compute, 0));
    await world.time.pass(700);
    expect(await world.task(taskId)).toMatchObject({ status: 'TIMED_OUT', settledAt: expect.any(String) });
    expect(runAt(world.compute, 0).phase).toBe('ended');
  });
});

// F5, F18, X5
describe('a world that ends in the middle', () => {
  it.each(Array.from({ length: 24 }, (_, n) => n + 1))(
    'after %i events brings the task to its end all the same when it opens again',
    async (cut) => {
      const time = virtualTime();
      const store = memoryStore({ freezeValues: true });
      const compute = computeTwin();
      let world = anEngine({ time, store, compute });
      let heard = 0;
      let stopping: Promise<void> | undefined;
      const first = world.engine;
      first.bus.listen(() => {
        if (++heard === cut) stopping = first.stop();
      });
      const taskId = await world.submit('roof');
      for (let n = 0; n < 200; n++) {
        const run = compute.runs.at(-1);
        if (run?.phase === 'starting') await world.comesUp(run);
        else if (run?.phase === 'running') {
          await world.reports(run);
          await world.exits(run);
        } else await time.pass(5);
        if (stopping !== undefined) {
          await stopping;
          stopping = undefined;
          world = anEngine({ time, store, compute });
          await world.engine.recover();
          await time.quiet();
        }
        const task = await world.task(taskId);
        if (task && 'settledAt' in task && task.settledAt) break;
      }
      expect(await world.task(taskId)).toMatchObject({
        status: 'COMPLETED',
        attempt: 1,
        settledAt: expect.any(String),
      });
      expect(compute.runs).toHaveLength(1);
      expect(await world.slot()).toMatchObject({ holders: {}, waiters: {} });
      expect(await leftOvers(world)).toEqual([]);
    },
  );
});

// A26
describe('a rule that uses what the world does not have', () => {
  const rule = defineRule({
    name: 'page-somebody',
    summary: 'Rings a bell.',
    on: [taskSettled],
    emits: [],
    uses: ['bell'],
    kind: 'effect',
  });
  const pageSomebody = react(rule, async () => said([]));

  it('is refused when the world opens', () => {
    expect(() => anEngine({ reactions: [...reactions, pageSomebody] })).toThrow(
      expect.objectContaining({ code: 'missing_port', message: expect.stringMatching(/page-somebody.*bell/) }),
    );
  });

  it('works where it has it', () => {
    expect(() => anEngine({ reactions: [...reactions, pageSomebody], more: { bell: {} } })).not.toThrow();
  });
});

describe('what comes from outside', () => {
  it('about a task of nobody changes nothing and is no dead letter', async () => {
    const world = anEngine();
    await world.engine.bus.publish([anEcsEvent({ lastStatus: 'STOPPED' })]);
    await world.time.quiet();
    expect(world.letters).toEqual([]);
    expect(await leftOvers(world)).toEqual([]);
  });
});

describe('a wake-up that ended in the dead letters', () => {
  it('rings again, so that its task does not wait for ever', async () => {
    const kept = memoryStore({ freezeValues: true });
    let troubled = false;
    const store: RecordStore = {
      ...kept,
      get: async (key) => {
        if (troubled && key.startsWith('TASK#')) throw new BatonError('contention', 'the table throttles');
        return kept.get(key);
      },
    };
    const world = anEngine({ store, limit: 0 });
    const taskId = await world.submit('roof', { timeoutSeconds: 60 });
    expect((await world.task(taskId))?.status).toBe('QUEUED');
    troubled = true;
    await world.time.pass(200);
    expect(world.letters.some(({ rule }) => rule === 'wake-task')).toBe(true);
    troubled = false;
    // One letter, however often it rang in vain.
    expect(await world.engine.bus.deadLetters()).toMatchObject([{ rule: 'wake-task' }]);
    await world.time.pass(120);
    expect((await world.task(taskId))?.status).toBe('TIMED_OUT');
    expect(await world.engine.bus.deadLetters()).toEqual([]);
  });
});

describe('a store that takes nothing any more', () => {
  it('is said once and stops the engine, which does not pile up what it cannot keep', async () => {
    const kept = memoryStore({ freezeValues: true });
    let full = false;
    const refuse = () => Promise.reject(new StoreError('store_full', 'no space left'));
    const store: RecordStore = {
      ...kept,
      put: (...asked) => (full ? refuse() : kept.put(...asked)),
      delete: (key) => (full ? refuse() : kept.delete(key)),
    };
    const failures: unknown[] = [];
    const world = anEngine({ store, limit: 0, onStoreFailure: (error) => failures.push(error) });
    await world.submit('roof', { timeoutSeconds: 60 });
    full = true;
    await world.time.pass(600);
    expect(failures).toEqual([expect.objectContaining({ code: 'store_full' })]);
    expect(world.engine.bus.pending()).toBeLessThanOrEqual(1);
  });
});

describe('a word from outside that a task has settled', () => {
  it('takes no alarm from it', async () => {
    const world = anEngine();
    const taskId = await world.submit('roof', { timeoutSeconds: 60 });
    await world.comesUp(runAt(world.compute, 0));
    await world.engine.bus.publish([
      { ...anEvent(taskSettled.of({ status: 'COMPLETED' }), { taskId }), source: 'made.up' },
    ]);
    await world.time.pass(61);
    expect(await world.task(taskId)).toMatchObject({ status: 'STOPPING', intent: 'timed_out' });
  });
});

describe('a world that opens with another limit than it was closed with', () => {
  it('starts who has a place now at once, before any check is due', async () => {
    const store = memoryStore({ freezeValues: true });
    const compute = computeTwin();
    const before = anEngine({ store, compute, limit: 1 });
    await before.submit('roof');
    const waiting = await before.submit('wall');
    expect(await before.task(waiting)).toMatchObject({ status: 'QUEUED' });
    await before.engine.stop();

    const after = anEngine({ store, compute, limit: 2 });
    await after.engine.recover();
    await after.time.quiet();
    expect(await after.task(waiting)).toMatchObject({ status: 'STARTING' });
  });
});

describe('a listener that throws', () => {
  it('loses no event', async () => {
    const world = anEngine();
    world.engine.bus.listen(() => {
      throw new Error('a page that went away');
    });
    const taskId = await world.submit('roof');
    expect((await world.task(taskId))?.status).toBe('STARTING');
  });
});

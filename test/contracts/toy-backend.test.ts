import { describe, expect, it } from '@jest/globals';
import { reactions as shipped } from '../../handlers/index.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import { runHandle } from '../../schemas/run-handle.ts';
import type { Task } from '../../schemas/task.ts';
import { aFailedReport, anEcsEvent, aReport } from '../builders.ts';
import { computeTwin } from '../compute-twin.ts';
import { anEngine, runAt } from '../runtime/engine/engine-fixture.ts';
import { toyReactions } from './toy-backend.ts';

type World = ReturnType<typeof anEngine>;
type Run = ReturnType<typeof runAt>;
type End =
  | { kind: 'exit'; code: number }
  | { kind: 'host lost' }
  | { kind: 'never started' }
  | { kind: 'stopped by somebody' };

/** How one back end is opened, and how it says natively what happened. */
interface Driver {
  open(): World;
  isUp(world: World, run: Run): Promise<void>;
  hasEnded(world: World, run: Run, end: End): Promise<void>;
}

const ecs: Driver = {
  open: () => anEngine(),
  isUp: (world, { handle, asked }) =>
    world.engine.bus.publish([anEcsEvent({ taskArn: handle.taskArn, startedBy: asked.startedBy, version: 3 })]),
  hasEnded(world, { handle, asked }, end) {
    const common = { taskArn: handle.taskArn, startedBy: asked.startedBy, lastStatus: 'STOPPED', version: 6 };
    const how = {
      exit: { containers: [{ name: 'agent', exitCode: end.kind === 'exit' ? end.code : 0 }] },
      'host lost': { stopCode: 'TerminationNotice', containers: [{ name: 'agent' }] },
      'never started': { stopCode: 'TaskFailedToStart', containers: [] },
      'stopped by somebody': { stopCode: 'UserInitiated', containers: [{ name: 'agent' }] },
    }[end.kind];
    return world.engine.bus.publish([anEcsEvent({ ...common, ...how })]);
  },
};

const toy: Driver = {
  open() {
    const compute = computeTwin();
    // The union of back ends is closed on purpose; a back end of one's own is one row more there.
    const toyCompute = 'toy' as unknown as Task['compute'];
    return anEngine({
      compute,
      reactions: [...shipped, ...toyReactions],
      more: { toy: compute.backend },
      settings: { computes: [toyCompute] },
    });
  },
  isUp: (world, run) => world.engine.bus.publish([toyEvent(run, { state: 'ticking', number: 1 })]),
  hasEnded(world, run, end) {
    const how = {
      exit: { how: 'by_itself', code: end.kind === 'exit' ? end.code : 0 },
      'host lost': { how: 'broken' },
      'never started': { how: 'never_wound' },
      'stopped by somebody': { how: 'switched_off' },
    }[end.kind];
    return world.engine.bus.publish([toyEvent(run, { state: 'stopped', number: 2, ...how })]);
  },
};

let serial = 0;
const toyEvent = ({ handle, asked }: Run, detail: object): Envelope => ({
  ...anEcsEvent(),
  id: `toy-${++serial}`,
  source: 'aws.toy',
  'detail-type': 'Toy Run Changed',
  detail: { id: handle.taskArn, of: asked.startedBy, handle, ...detail },
});

/** A story in words that no back end owns. */
const stories: Record<string, (world: World, driver: Driver) => Promise<void>> = {
  'it runs, reports and exits': async (world, driver) => {
    const run = await begun(world, driver);
    await world.reports(run, aReport());
    await driver.hasEnded(world, run, { kind: 'exit', code: 0 });
  },
  'it exits, then its report is found': async (world, driver) => {
    const run = await begun(world, driver);
    await driver.hasEnded(world, run, { kind: 'exit', code: 0 });
    await world.time.quiet();
    await world.reports(run, aReport());
  },
  'its agent fails': async (world, driver) => {
    const run = await begun(world, driver);
    await world.reports(run, aFailedReport());
    await driver.hasEnded(world, run, { kind: 'exit', code: 1 });
  },
  'it exits with 0 and never reports': async (world, driver) => {
    const run = await begun(world, driver);
    await driver.hasEnded(world, run, { kind: 'exit', code: 0 });
    await world.time.pass(10);
  },
  'it exits with 3 and never reports': async (world, driver) => {
    const run = await begun(world, driver);
    await driver.hasEnded(world, run, { kind: 'exit', code: 3 });
  },
  'its host is lost, and the next attempt does it': async (world, driver) => {
    await driver.hasEnded(world, await begun(world, driver), { kind: 'host lost' });
    await world.time.pass(5);
    const second = await begun(world, driver, 1);
    await world.reports(second, aReport());
    await driver.hasEnded(world, second, { kind: 'exit', code: 0 });
  },
  'it never starts, three times': async (world, driver) => {
    for (let n = 0; n < 3; n++) {
      await driver.hasEnded(world, runAt(world.compute, n), { kind: 'never started' });
      await world.time.pass(10);
    }
  },
  'somebody else stops it, and the next attempt does it': async (world, driver) => {
    await driver.hasEnded(world, await begun(world, driver), { kind: 'stopped by somebody' });
    await world.time.pass(5);
    const second = await begun(world, driver, 1);
    await world.reports(second, aReport());
    await driver.hasEnded(world, second, { kind: 'exit', code: 0 });
  },
  'it is cancelled': async (world, driver) => {
    const run = await begun(world, driver);
    await world.cancel(run.asked.taskId);
    await driver.hasEnded(world, run, { kind: 'stopped by somebody' });
  },
  'it is cancelled, and its end is only found by asking': async (world, driver) => {
    const run = await begun(world, driver);
    await world.cancel(run.asked.taskId);
    await world.time.pass(60);
  },
  'it shows no sign of life, and asking finds it': async (world, driver) => {
    const run = runAt(world.compute, 0);
    world.compute.run(run);
    await world.time.pass(25);
    await world.engine.ports.runs.claim({ taskId: run.asked.taskId, attempt: 1, nativeId: run.handle.taskArn });
    await world.reports(run, aReport());
    await driver.hasEnded(world, run, { kind: 'exit', code: 0 });
  },
  'its time is up': async (world, driver) => {
    await begun(world, driver);
    await world.time.pass(3700);
  },
};

async function begun(world: World, driver: Driver, index = 0): Promise<Run> {
  const run = runAt(world.compute, index);
  world.compute.run(run);
  await driver.isUp(world, run);
  const { taskId, attempt } = run.asked;
  await world.engine.ports.runs.claim({ taskId, attempt, nativeId: run.handle.taskArn });
  await world.time.quiet();
  return run;
}

/** Names of a back end and its own words; everything else must be the same. */
const OWN = new Set(['compute', 'handle', 'nativeId', 'startedBy', 'message']);

async function told(driver: Driver, story: (world: World, driver: Driver) => Promise<void>) {
  const world = driver.open();
  const taskId = await world.submit('roof');
  await story(world, driver);
  await world.time.quiet();
  const seen = new Set<string>();
  const facts = world.heard
    .filter((event): event is BatonEvent => event.source === 'baton' && !seen.has(event.id) && !!seen.add(event.id))
    .map((event) => ({
      type: event['detail-type'],
      version: event.detail.metadata.version,
      attempt: event.detail.metadata.attempt,
      data: JSON.parse(JSON.stringify(event.detail.data, (key, value) => (OWN.has(key) ? undefined : value))),
    }));
  const task = await world.task(taskId);
  // Deliveries of different events are concurrent: only the order inside the task is promised.
  const inAnyOrder = facts.map((fact) => JSON.stringify(fact)).sort();
  for (const { transition, facts: stored } of task?.history ?? []) {
    const allowed: readonly string[] = transitions[transition as keyof typeof transitions].emits;
    expect(allowed).toEqual(expect.arrayContaining(stored.map(({ type }) => type)));
  }
  const history = task?.history.map(({ transition, version }) => `${version} ${transition}`);
  return {
    facts: inAnyOrder,
    history,
    status: task?.status,
    settled: task !== undefined && 'settledAt' in task,
    letters: world.letters,
  };
}

// A1
describe('the same story on ECS and on a back end from outside', () => {
  it.each(Object.entries(stories))('is told by the same facts: %s', async (_, story) => {
    const [onEcs, onToy] = [await told(ecs, story), await told(toy, story)];
    expect(onToy).toEqual(onEcs);
    expect(onEcs).toMatchObject({ settled: true, letters: [] });
    const ends = onEcs.facts.filter((fact) => /"Task(Completed|Failed|Cancelled|TimedOut)"/.test(fact));
    expect(ends).toHaveLength(1);
  });

  it('is told to the back end that the task asked for, and to no other', async () => {
    const world = toy.open();
    await world.submit('roof');
    expect(world.compute.calls.filter((call) => call.startsWith('start'))).toHaveLength(1);
    expect(runAt(world.compute, 0).asked.startedBy).toMatch(/^toy\//);
  });
});

// A2
describe('the handle of a run', () => {
  it('survives a JSON round trip on its way through the task, its facts and the stop', async () => {
    const world = ecs.open();
    const taskId = await world.submit('roof');
    const run = await begun(world, ecs);
    const stored = await world.task(taskId);
    const started = world.heard.find((event) => event['detail-type'] === 'RunStarted');
    await world.cancel(taskId);
    const stop = world.heard.find((event) => event['detail-type'] === 'RunStopRequested');
    for (const holder of [stored, started, stop]) {
      expect(JSON.stringify(holder)).toContain(JSON.stringify(run.handle));
    }
    expect(runHandle.parse(JSON.parse(JSON.stringify(run.handle)))).toEqual(run.handle);
    expect(world.compute.calls).toContain(`stop ${run.handle.taskArn}`);
  });
});

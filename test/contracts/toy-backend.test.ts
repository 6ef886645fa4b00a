import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { runClaimed } from '../../events/run-claimed.ts';
import { runReported } from '../../events/run-reported.ts';
import { reactions as shipped } from '../../handlers/index.ts';
import { startedByOf } from '../../lifecycle/ecs-task.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import type { RunSignal } from '../../runtime/ports.ts';
import type { AgentReport } from '../../schemas/agent-report.ts';
import { parseSessionId, sessionIdOf } from '../../schemas/agentcore-session.ts';
import { compute } from '../../schemas/compute.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import { portEnvironment } from '../../schemas/environment.ts';
import { runHandle } from '../../schemas/run-handle.ts';
import type { Task } from '../../schemas/task.ts';
import { aFailedReport, anEcsEvent, anEvent, aReport, testTimings } from '../builders.ts';
import { computeTwin } from '../compute-twin.ts';
import { anEngine, runAt } from '../runtime/engine/engine-fixture.ts';
import { toyReactions } from './toy-backend.ts';

type World = ReturnType<typeof anEngine>;
/** An attempt that was started, as its runner knows itself. */
type Run = RunSignal & { readonly startedBy: string };
type End =
  | { kind: 'exit'; code: number }
  | { kind: 'host lost' }
  | { kind: 'never started' }
  | { kind: 'stopped by somebody' };

/** How one back end is opened, and how it says natively what happened. */
interface Driver {
  open(): World;
  /** The nth run that was started. */
  runAt(world: World, index: number): Run;
  /** The run works; its runner claims. */
  isUp(world: World, run: Run): Promise<void>;
  /** The run works, its runner claims, and nobody hears of either. */
  isUpUnheard(world: World, run: Run): Promise<void>;
  /** Time passes, and the run works. */
  livesFor(world: World, run: Run, seconds: number): Promise<void>;
  hasEnded(world: World, run: Run, end: End): Promise<void>;
}

/** What a back end has in common with others whose runs are those of the twin. */
const overTwin = {
  runAt({ compute }: World, index: number): Run {
    const { asked, handle } = runAt(compute, index);
    const { taskId, attempt, startedBy } = asked;
    return { taskId, attempt, startedBy, nativeId: handle.taskArn };
  },
  async isUpUnheard(world: World, run: Run): Promise<void> {
    world.compute.run(twinOf(world, run));
    await world.engine.ports.runs.claim(run);
  },
  livesFor: (world: World, _run: Run, seconds: number): Promise<void> => world.time.pass(seconds),
};

function twinOf({ compute }: World, { nativeId }: Run) {
  const found = compute.runs.find(({ handle }) => handle.taskArn === nativeId);
  if (!found) throw new Error(`there is no run ${nativeId}`);
  return found;
}

const ecs: Driver = {
  ...overTwin,
  open: () => anEngine(),
  async isUp(world, run) {
    const { nativeId: taskArn, startedBy } = run;
    world.compute.run(twinOf(world, run));
    await world.engine.bus.publish([anEcsEvent({ taskArn, startedBy, version: 3 })]);
    await world.engine.ports.runs.claim(run);
  },
  hasEnded(world, { nativeId: taskArn, startedBy }, end) {
    const common = { taskArn, startedBy, lastStatus: 'STOPPED', version: 6 };
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
  ...overTwin,
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
  async isUp(world, run) {
    world.compute.run(twinOf(world, run));
    await world.engine.bus.publish([toyEvent(world, run, { state: 'ticking', number: 1 })]);
    await world.engine.ports.runs.claim(run);
  },
  hasEnded(world, run, end) {
    const how = {
      exit: { how: 'by_itself', code: end.kind === 'exit' ? end.code : 0 },
      'host lost': { how: 'broken' },
      'never started': { how: 'never_wound' },
      'stopped by somebody': { how: 'switched_off' },
    }[end.kind];
    return world.engine.bus.publish([toyEvent(world, run, { state: 'stopped', number: 2, ...how })]);
  },
};

/** AgentCore tells nothing: what lives beats, and what does not is found by its silence and a stop that finds no session. */
const agentcore: Driver = {
  open: () => anEngine({ settings: { computes: ['agentcore'] } }),
  runAt({ sessions }, index) {
    const invoked = [...new Set(sessions.asked.map(({ session }) => session.sessionId))];
    const owner = parseSessionId(invoked[index] ?? '');
    if (!owner) throw new Error(`expected ${index + 1} sessions, found ${invoked.length}`);
    const { stage, taskId, attempt } = owner;
    return { taskId, attempt, nativeId: sessionIdOf(owner), startedBy: startedByOf(stage, taskId, attempt) };
  },
  async isUp({ engine }, run) {
    await engine.ports.runs.claim(run);
    await engine.bus.publish([anEvent(runClaimed.of({ ...run, seq: 1 }))]);
  },
  async isUpUnheard({ engine }, run) {
    await engine.ports.runs.claim(run);
  },
  async livesFor({ engine, time }, run, seconds) {
    for (let passed = 0; passed < seconds; passed += testTimings.HEARTBEAT_S) {
      await engine.ports.runs.heartbeat(run);
      await time.pass(testTimings.HEARTBEAT_S);
    }
  },
  /** A container that has done its work goes on until it is stopped; everything else is a session that is gone, of which nobody is told. */
  async hasEnded({ sessions, time }, { nativeId }, { kind }) {
    if (kind !== 'exit') sessions.living.delete(nativeId);
    await time.pass(2 * testTimings.HEARTBEAT_SILENCE_S);
  },
};

let serial = 0;
const toyEvent = (world: World, run: Run, detail: object): Envelope => ({
  ...anEcsEvent(),
  id: `toy-${++serial}`,
  source: 'aws.toy',
  'detail-type': 'Toy Run Changed',
  detail: { id: run.nativeId, of: run.startedBy, handle: twinOf(world, run).handle, ...detail },
});

type Story = (world: World, driver: Driver) => Promise<void>;

/** Stories in words that no back end owns. */
const stories: Record<string, Story> = {
  'it runs, reports and exits': async (world, driver) => {
    const run = await begun(world, driver);
    await reports(world, run, aReport());
    await driver.hasEnded(world, run, { kind: 'exit', code: 0 });
  },
  'its agent fails': async (world, driver) => {
    const run = await begun(world, driver);
    await reports(world, run, aFailedReport());
    await driver.hasEnded(world, run, { kind: 'exit', code: 1 });
  },
  'its host is lost, and the next attempt does it': async (world, driver) => {
    await driver.hasEnded(world, await begun(world, driver), { kind: 'host lost' });
    await world.time.pass(5);
    const second = await begun(world, driver, 1);
    await reports(world, second, aReport());
    await driver.hasEnded(world, second, { kind: 'exit', code: 0 });
  },
  'it never starts, three times': async (world, driver) => {
    for (let n = 0; n < 3; n++) {
      await driver.hasEnded(world, driver.runAt(world, n), { kind: 'never started' });
      await world.time.pass(10);
    }
  },
  'somebody else stops it, and the next attempt does it': async (world, driver) => {
    await driver.hasEnded(world, await begun(world, driver), { kind: 'stopped by somebody' });
    await world.time.pass(5);
    const second = await begun(world, driver, 1);
    await reports(world, second, aReport());
    await driver.hasEnded(world, second, { kind: 'exit', code: 0 });
  },
  'it is cancelled': async (world, driver) => {
    const run = await begun(world, driver);
    await world.cancel(run.taskId);
    await driver.hasEnded(world, run, { kind: 'stopped by somebody' });
  },
  'it is cancelled, and its end is only found by asking': async (world, driver) => {
    const run = await begun(world, driver);
    await world.cancel(run.taskId);
    await world.time.pass(60);
  },
  'it is up and nobody hears of it, and asking finds it': async (world, driver) => {
    const run = driver.runAt(world, 0);
    await driver.isUpUnheard(world, run);
    await driver.livesFor(world, run, 25);
    await reports(world, run, aReport());
    await driver.hasEnded(world, run, { kind: 'exit', code: 0 });
  },
  'its time is up': async (world, driver) => {
    await driver.livesFor(world, await begun(world, driver), 3700);
  },
};

/** Where nobody tells of an exit there are none of these: a runner that left no report is one that went silent. */
const storiesOfExits: Record<string, Story> = {
  'it exits, then its report is found': async (world, driver) => {
    const run = await begun(world, driver);
    await driver.hasEnded(world, run, { kind: 'exit', code: 0 });
    await world.time.quiet();
    await reports(world, run, aReport());
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
};

async function begun(world: World, driver: Driver, index = 0): Promise<Run> {
  const run = driver.runAt(world, index);
  await driver.isUp(world, run);
  await world.time.quiet();
  return run;
}

async function reports({ engine, time }: World, run: Run, report: AgentReport): Promise<void> {
  await engine.ports.runs.report(run, report);
  await engine.bus.publish([anEvent(runReported.of({ ...run, seq: 2 }))]);
  await time.quiet();
}

/** Names of a back end and its own words; everything else must be the same. */
const OWN = new Set(['compute', 'handle', 'nativeId', 'startedBy', 'message']);

/** One back end tells of an end, another has to be asked to stop, again and again. */
const QUESTIONS = new Set(['RunStopRequested', 'RunStopAnswered', 'RunCheckRequested', 'RunEnded']);

async function told(driver: Driver, story: Story) {
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
    /** What became of the task, without who was asked what on the way there. */
    backbone: facts
      .filter(({ type }) => !QUESTIONS.has(type))
      .map(({ type, version, attempt }) => `${attempt} ${version ?? ''} ${type}`)
      .sort(),
    history,
    status: task?.status,
    settled: task !== undefined && 'settledAt' in task,
    letters: world.letters,
  };
}

// A1
describe('the same story on ECS and on a back end from outside', () => {
  it.each(Object.entries({ ...stories, ...storiesOfExits }))('is told by the same facts: %s', async (_, story) => {
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

  it.each(compute.options)(
    'is as little known to %s as that is to others: each has its port, its rules and its handlers',
    (name) => {
      const own = shipped.map(({ rule }) => rule).filter(({ where }) => JSON.stringify(where)?.includes(`"${name}"`));
      const verbs = ['start', 'stop', 'check'].map((verb) => `${verb}-run-on-${name}`);
      expect(own.map((rule) => rule.name)).toEqual(expect.arrayContaining(verbs));
      const others: readonly string[] = compute.options.filter((other) => other !== name);
      for (const { uses } of own) expect(uses.filter((port) => others.includes(port))).toEqual([]);
      for (const verb of verbs) expect(own.find((rule) => rule.name === verb)?.uses).toContain(name);
    },
  );

  it('needs no change of what is shipped, which does not know of it', () => {
    expect(compute.options).not.toContain('toy');
    expect(portEnvironment).not.toHaveProperty('toy');
    expect(shipped.map(({ rule }) => JSON.stringify(rule)).filter((rule) => /\btoy\b/i.test(rule))).toEqual([]);
    const source = readFileSync(new URL('./toy-backend.ts', import.meta.url), 'utf8');
    const imported = [...source.matchAll(/from '\.\.\/\.\.\/([^']+)'/g)].map(([, path]) => path ?? '');
    expect(imported.length).toBeGreaterThan(0);
    expect(imported.filter((path) => path.startsWith('handlers/'))).toEqual([]);
    expect(imported.filter((path) => path.startsWith('rules/'))).toEqual(['rules/rule.ts']);
  });
});

// A1
describe('the same story on ECS and on a back end that tells nothing', () => {
  it.each(Object.entries(stories))('ends in the same way, over the same steps: %s', async (_, story) => {
    const [onEcs, onAgentcore] = [await told(ecs, story), await told(agentcore, story)];
    const { facts: _ecs, ...same } = onEcs;
    expect(onAgentcore).toMatchObject(same);
    expect(onAgentcore).toMatchObject({ settled: true, letters: [] });
  });

  it('ends otherwise where only an exit tells: a runner that goes without a report was lost, and another attempt is made', async () => {
    const onAgentcore = await told(agentcore, async (world, driver) => {
      for (let n = 0; n < 3; n++) {
        await driver.hasEnded(world, await begun(world, driver, n), { kind: 'exit', code: 0 });
        await world.time.pass(10);
      }
    });
    expect(onAgentcore).toMatchObject({ status: 'FAILED', settled: true, letters: [] });
    expect(
      onAgentcore.facts.filter((fact) => fact.includes('"RunLost"') && fact.includes('no_heartbeat')),
    ).toHaveLength(2);
  });
});

// A2
describe('the handle of a run', () => {
  it('survives a JSON round trip on its way through the task, its facts and the stop', async () => {
    const world = ecs.open();
    const taskId = await world.submit('roof');
    await begun(world, ecs);
    const run = runAt(world.compute, 0);
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

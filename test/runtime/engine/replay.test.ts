import { describe, expect, it } from '@jest/globals';
import { taskCompleted } from '../../../events/task-completed.ts';
import { reactions } from '../../../handlers/index.ts';
import type { Projection } from '../../../lifecycle/fold.ts';
import { defineRule } from '../../../rules/rule.ts';
import type { Archive } from '../../../runtime/engine/archive.ts';
import { archivesOver } from '../../../runtime/engine/archives.ts';
import { memoryArchive } from '../../../runtime/engine/memory-archive.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { rebuild } from '../../../runtime/engine/rebuild.ts';
import { replaysOver, type StoredReplay } from '../../../runtime/engine/replay.ts';
import { said } from '../../../runtime/outcome.ts';
import type { RecordStore } from '../../../runtime/ports.ts';
import { react, replayOf } from '../../../runtime/react.ts';
import { taskIn } from '../../../runtime/tasks.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import { aFailedReport, anEvent, aRequest, at } from '../../builders.ts';
import { computeTwin } from '../../compute-twin.ts';
import { anEngine, type EngineFixtureOptions, runAt } from './engine-fixture.ts';
import { type VirtualTime, virtualTime } from './virtual-time.ts';

/** Long after everything, as far as this file goes. */
const TO = at(48 * 3600);
const FROM = at(-60);

/** Records of tasks, runs, slots and all else that a replay must leave alone: not the notes about what came twice, nor its own. */
async function recordsOf(store: RecordStore) {
  const all = await store.list('', { limit: 10_000 });
  return all.filter(({ key }) => !key.startsWith('JOURNAL#') && !key.startsWith('REPLAY#'));
}

async function archivedIn(archive: Archive): Promise<Envelope[]> {
  const events: Envelope[] = [];
  for await (const slice of archive.slices(0, Number.MAX_SAFE_INTEGER)) events.push(...slice.events);
  return events;
}

function open(options: Partial<EngineFixtureOptions> = {}) {
  const time = options.time ?? virtualTime();
  const archive = options.archive ?? memoryArchive(time.nowMs);
  return { ...anEngine({ time, archive, limit: 6, ...options }), archive };
}
type World = ReturnType<typeof open>;

/** Tasks in every kind of end, and some that are under way. */
async function lived(world: World): Promise<Record<string, string>> {
  const { compute, time } = world;
  const ids: Record<string, string> = {};
  ids['completed'] = await world.submit('completed');
  await world.comesUp(runAt(compute, 0));
  await world.reports(runAt(compute, 0));
  await world.exits(runAt(compute, 0));
  ids['failed'] = await world.submit('failed');
  await world.comesUp(runAt(compute, 1));
  await world.reports(runAt(compute, 1), aFailedReport());
  await world.exits(runAt(compute, 1), 1);
  ids['cancelled'] = await world.submit('cancelled');
  await world.comesUp(runAt(compute, 2));
  await world.cancel(ids['cancelled']);
  await world.exits(runAt(compute, 2), 143);
  ids['rejected'] = await world.submit('rejected', { compute: 'nowhere' });
  ids['retried'] = await world.submit('retried', { attempts: 2 });
  await world.comesUp(runAt(compute, 3));
  await world.exits(runAt(compute, 3), 137);
  await time.pass(600);
  ids['running'] = await world.submit('running', { timeoutSeconds: 8 * 3600 });
  await world.comesUp(runAt(compute, compute.runs.length - 1));
  for (let more = 1; more <= 6; more++)
    ids[`waiting ${more}`] = await world.submit(`waiting ${more}`, { timeoutSeconds: 8 * 3600 });
  await time.pass(1);
  return ids;
}

async function over(world: World, name: string): Promise<StoredReplay> {
  await world.time.pass(2);
  return world.engine.replays.get(name);
}

describe('replaying everything, again and again, in another order each time', () => {
  it('changes no record, starts nothing, stops nothing, says nothing new, and is not archived itself', async () => {
    const posted: string[] = [];
    const webhooks = {
      post: async (_target: string, _body: object, { id }: { id: string }) => {
        posted.push(id);
        return { outcome: 'delivered' };
      },
    };
    const world = open({ more: { webhooks } });
    const subscribers = [{ channel: 'webhook', target: 'https://hooks.example/ends' }];
    await world.engine.bus.publish([
      aRequest('RepositoryConfigRequested', { name: '/srv/repository', config: { subscribers } }),
    ]);
    await world.time.quiet();
    const ids = await lived(world);
    expect(posted.length).toBeGreaterThanOrEqual(3);
    const told = [...posted];
    const statuses = await Promise.all(Object.values(ids).map(async (id) => (await world.task(id))?.status));
    expect(new Set(statuses)).toEqual(
      new Set(['COMPLETED', 'FAILED', 'CANCELLED', undefined, 'STARTING', 'RUNNING', 'QUEUED']),
    );
    const before = await recordsOf(world.store);
    const calls = [...world.compute.calls];
    const archived = await archivedIn(world.archive);
    const heard = world.heard.length;

    for (const name of ['first', 'second', 'third']) {
      await world.engine.replays.start({ name, from: FROM, to: TO });
      expect(await over(world, name)).toMatchObject({ state: 'COMPLETED', events: archived.length });
    }

    expect(await recordsOf(world.store)).toEqual(before);
    expect(world.compute.calls).toEqual(calls);
    expect(posted).toEqual(told);
    expect(await archivedIn(world.archive)).toEqual(archived);
    const news = world.heard.slice(heard);
    expect(news.filter((event) => replayOf(event) === undefined)).toEqual([]);
    expect(news).toHaveLength(3 * archived.length);
    expect(news.slice(0, archived.length).map(({ id }) => id)).not.toEqual(archived.map(({ id }) => id));
    expect(world.letters).toEqual([]);
  });

  it('does no harm either when each event comes twice', async () => {
    const world = open({ copies: () => 2 });
    await lived(world);
    const before = await recordsOf(world.store);
    const calls = [...world.compute.calls];
    await world.engine.replays.start({ name: 'twice', from: FROM, to: TO });
    expect(await over(world, 'twice')).toMatchObject({ state: 'COMPLETED' });
    expect(await recordsOf(world.store)).toEqual(before);
    expect(world.compute.calls).toEqual(calls);
  });

  it('reaches a task whose step was lost, and takes it on from there', async () => {
    const deaf = reactions.filter(({ rule }) => rule.name !== 'judge-report');
    const store = memoryStore({ freezeValues: true });
    const time = virtualTime();
    const compute = computeTwin();
    const first = open({ store, time, compute, reactions: deaf });
    const taskId = await first.submit('roof');
    await first.comesUp(runAt(compute, 0));
    await first.reports(runAt(compute, 0));
    expect(await first.task(taskId)).toMatchObject({ status: 'RUNNING' });
    await first.engine.stop();

    const second = open({ store, time, compute, archive: first.archive });
    await time.pass(1);
    await second.engine.replays.start({ name: 'mend', from: FROM, to: TO });
    await over(second, 'mend');
    expect(await second.task(taskId)).toMatchObject({ status: 'COMPLETED' });
    // What that set off is marked, so that it is not kept a second time.
    expect((await archivedIn(first.archive)).filter(({ 'detail-type': type }) => type === 'TaskCompleted')).toEqual([]);
  });
});

describe('folding the archive of tasks in every kind of state', () => {
  async function rebuilt(world: World) {
    const kept: Projection[] = [];
    const tasks = (await world.store.list('TASK#', { limit: 1_000 })).flatMap((stored) => taskIn(stored) ?? []);
    const report = await rebuild({
      slices: world.archive.slices(0, Number.MAX_SAFE_INTEGER),
      recordOf: async (taskId) => tasks.find((task) => task.taskId === taskId),
      async *records() {
        yield* tasks;
      },
      keep: async (projection) => void kept.push(projection),
      beganMs: world.time.nowMs() + 10_000,
    });
    return { report, kept, tasks };
  }

  it('gives every record, but for steps that say nothing', async () => {
    const world = open();
    await lived(world);
    const { report, kept, tasks } = await rebuilt(world);
    expect(report).toMatchObject({ tasks: tasks.length, moved: 0, older: 0, different: 0, differences: [] });
    expect(report.same + report.silent).toBe(tasks.length);
    expect(new Set(kept.map(({ status }) => status))).toEqual(
      new Set(['COMPLETED', 'FAILED', 'CANCELLED', 'RUNNING', 'HYDRATED', 'QUEUED']),
    );
  });

  it('tells which task moved meanwhile, and which is older than the archive', async () => {
    const world = open();
    await world.submit('old');
    await world.time.pass(60);
    const archive = memoryArchive(world.time.nowMs);
    const younger = open({ store: world.store, time: world.time, archive, compute: world.compute });
    await younger.submit('young');
    await world.engine.stop();
    const { report } = await rebuilt({ ...younger, archive });
    expect(report).toMatchObject({ tasks: 1, older: 1, different: 0 });
    const now = await rebuild({
      slices: archive.slices(0, Number.MAX_SAFE_INTEGER),
      recordOf: async () => undefined,
      async *records() {},
      keep: async () => undefined,
      beganMs: world.time.nowMs(),
    });
    expect(now).toMatchObject({ tasks: 1, moved: 1, different: 0 });
  });
});

describe('a replay', () => {
  /** A rule that notes what it gets. */
  function listening(name: string) {
    const got: Envelope[] = [];
    const rule = defineRule({ name, summary: 'Listens.', on: [taskCompleted], emits: [], uses: [], kind: 'state' });
    return { got, reaction: react(rule, async (event) => said(got.push(event) > 0 ? [] : [])) };
  }

  const happened = (time: string, id: string): Envelope => ({
    ...anEvent(taskCompleted.of({} as never), { taskId: id as never }),
    id,
    time,
  });

  function stage(options: { time?: VirtualTime; store?: RecordStore; archive?: Archive } = {}) {
    const [one, other] = [listening('one'), listening('other')];
    const world = open({ reactions: [one.reaction, other.reaction], ...options });
    return { ...world, one: one.got, other: other.got };
  }

  it('goes minute by minute, with its name in each event, and from its first moment to before its last', async () => {
    const world = stage();
    const times = [0, 59.999, 60, 119, 120, 180];
    for (const time of [...times].reverse()) world.archive.append(happened(at(time), `e${time}`));
    await world.time.pass(3600);
    await world.engine.replays.start({ name: 'part', from: at(59.999), to: at(180) });
    await over(world, 'part');
    expect(world.one.every((event) => event['replay-name'] === 'part')).toBe(true);
    const ids = world.one.map(({ id }) => id);
    expect([ids[0], new Set(ids.slice(1, 3)), ids.slice(3)]).toEqual(['e59.999', new Set(['e60', 'e119']), ['e120']]);
  });

  it('reaches only the rules that it names', async () => {
    const world = stage();
    world.archive.append(happened(at(0), 'a'));
    await world.time.pass(60);
    await world.engine.replays.start({ name: 'some', from: FROM, to: TO, rules: ['other'] });
    await over(world, 'some');
    expect([world.one.length, world.other.length]).toEqual([0, 1]);
  });

  it('keeps to those rules when the process ends before they had it', async () => {
    const store = memoryStore();
    const time = virtualTime();
    const first = stage({ store, time });
    first.archive.append(happened(at(0), 'a'));
    await time.pass(60);
    await first.engine.bus.publish([{ ...happened(at(0), 'a'), 'replay-name': 'some' }], { only: new Set(['other']) });
    void first.engine.stop();
    const second = stage({ store, time });
    await second.engine.recover();
    await time.quiet();
    expect([first.one.length + second.one.length, second.other.length]).toEqual([0, 1]);
  });

  it('that waits for its events ends with the process, and is not over', async () => {
    const store = memoryStore();
    const time = virtualTime();
    const archive = memoryArchive(time.nowMs);
    archive.append(happened(at(0), 'a'));
    await time.pass(60);
    const bus = { publish: async () => undefined, pending: () => 1 };
    const archives = archivesOver({ store, nowMs: time.nowMs });
    const replays = replaysOver({ store, bus, scheduler: time, archive, archives, random: Math.random });
    await replays.start({ name: 'cut', from: FROM, to: TO });
    await time.quiet();
    // Nobody moves the clock any more.
    await replays.stop();
    expect(await replays.get('cut')).toMatchObject({ state: 'RUNNING', events: 1 });
  });

  it('has what was on its way when the process ended, even where that was not archived yet', async () => {
    const store = memoryStore();
    const time = virtualTime();
    await store.put('EVENT#1', { event: happened(at(0), 'a'), pending: { one: 1 } }, 'absent');
    await store.put(
      'EVENT#2',
      { event: { ...happened(at(0), 'b'), 'replay-name': 'x' }, pending: { one: 1 } },
      'absent',
    );
    const world = stage({ store, time });
    await world.engine.recover();
    await time.quiet();
    expect((await archivedIn(world.archive)).map(({ id }) => id)).toEqual(['a']);
    expect(world.one).toHaveLength(2);
  });

  it('goes on after a restart, from the minute in which it stood', async () => {
    const store = memoryStore();
    const time = virtualTime();
    const first = stage({ store, time });
    for (let minute = 0; minute < 5; minute++) first.archive.append(happened(at(60 * minute), `m${minute}`));
    await time.pass(3600);
    const begun: StoredReplay = {
      name: 'long',
      from: FROM,
      to: TO,
      state: 'RUNNING',
      startedAt: time.now(),
      events: 3,
      lastReplayedAt: at(120),
    };
    await store.put('REPLAY#long', begun, 'any');
    await first.engine.recover();
    expect(await over(first, 'long')).toMatchObject({
      state: 'COMPLETED',
      lastReplayedAt: at(240),
      endedAt: expect.any(String),
    });
    expect(first.one.map(({ id }) => id)).toEqual(['m2', 'm3', 'm4']);
  });

  it('ends early when it is cancelled', async () => {
    const world = stage();
    for (let count = 0; count < 3000; count++) world.archive.append(happened(at(60 * count), `e${count}`));
    await world.time.pass(48 * 3600);
    await world.engine.replays.start({ name: 'long', from: FROM, to: TO });
    await world.time.quiet();
    expect((await world.engine.replays.cancel('long')).state).toBe('CANCELLING');
    expect(await over(world, 'long')).toMatchObject({ state: 'CANCELLED' });
    expect(world.one.length).toBeLessThan(3000);
    await expect(world.engine.replays.cancel('long')).rejects.toMatchObject({ code: 'replay_refused' });
  });

  it('never has more of its events on the way than a bound', async () => {
    const world = stage();
    for (let count = 0; count < 2000; count++) world.archive.append(happened(at(1), `e${count}`));
    await world.time.pass(60);
    let most = 0;
    world.engine.bus.listen(() => {
      most = Math.max(most, world.engine.bus.pending('big'));
    });
    await world.engine.replays.start({ name: 'big', from: FROM, to: TO });
    expect(await over(world, 'big')).toMatchObject({ state: 'COMPLETED', events: 2000 });
    expect(most).toBeLessThanOrEqual(200);
  });

  it('means what was published before it began', async () => {
    const world = stage();
    world.archive.append(happened(at(0), 'before'));
    await world.time.pass(60);
    const { to } = await world.engine.replays.start({ name: 'open', from: FROM, to: TO });
    expect(to).toBe(at(60));
  });

  it.each([
    ['a time that ends before it begins', { from: at(10), to: at(5) }, 'is not before'],
    ['a time that has not come', { from: at(7200), to: at(7300) }, 'has not come yet'],
  ])('is refused for %s', async (_what, times, message) => {
    const world = stage();
    await expect(world.engine.replays.start({ name: 'bad', ...times })).rejects.toMatchObject({
      code: 'replay_refused',
      message: expect.stringContaining(message),
    });
    await expect(world.engine.replays.get('bad')).rejects.toMatchObject({ code: 'unknown_replay' });
  });

  it('has a name that none had before', async () => {
    const world = stage();
    await world.time.pass(60);
    await world.engine.replays.start({ name: 'friday', from: FROM, to: TO });
    await over(world, 'friday');
    await expect(world.engine.replays.start({ name: 'friday', from: FROM, to: TO })).rejects.toMatchObject({
      code: 'replay_exists',
    });
    expect((await world.engine.replays.list()).map(({ name }) => name)).toEqual(['friday']);
  });

  it('that cannot read its archive fails, and says why', async () => {
    const archive: Archive = {
      ...memoryArchive(() => 0),
      async *slices() {
        yield* [];
        throw new Error('the disk is gone');
      },
    };
    const world = stage({ archive });
    await world.time.pass(60);
    await world.engine.replays.start({ name: 'blind', from: FROM, to: TO });
    expect(await over(world, 'blind')).toMatchObject({ state: 'FAILED', reason: 'the disk is gone' });
  });

  /** Replays of nothing, whose bus holds nothing back, over a store that a test stands before. */
  function alone(store: RecordStore) {
    const time = virtualTime();
    const bus = { publish: async () => undefined, pending: () => 0 };
    const archives = archivesOver({ store, nowMs: time.nowMs });
    const archive = memoryArchive(time.nowMs);
    return { time, replays: replaysOver({ store, bus, scheduler: time, archive, archives, random: Math.random }) };
  }

  it('that is cancelled while its end is being stored has ended', async () => {
    const kept = memoryStore();
    let underWay: (() => void) | undefined;
    let ended: Promise<unknown> = Promise.resolve();
    const store: RecordStore = {
      ...kept,
      // Who cancels reads, and before it has its answer the end is stored.
      async get(key) {
        const found = await kept.get(key);
        underWay?.();
        underWay = undefined;
        await ended;
        return found;
      },
    };
    const { time, replays } = alone(store);
    await replays.start({ name: 'x', from: at(-60), to: at(0) });
    const running = await kept.get('REPLAY#x');
    underWay = () => {
      ended = kept.put('REPLAY#x', { ...(running?.value as StoredReplay), state: 'COMPLETED' }, 'any');
    };
    await expect(replays.cancel('x')).rejects.toMatchObject({ code: 'replay_refused' });
    await time.quiet();
    expect((await kept.get('REPLAY#x'))?.value).toMatchObject({ state: 'COMPLETED' });
  });

  it('stores its end again when the store did not take it', async () => {
    const kept = memoryStore();
    let refusals = 3;
    const store: RecordStore = {
      ...kept,
      async put(key, value, ...more) {
        if ((value as StoredReplay).state === 'COMPLETED' && refusals-- > 0) throw new Error('the disk is full');
        return kept.put(key, value, ...more);
      },
    };
    const { time, replays } = alone(store);
    await replays.start({ name: 'x', from: at(-60), to: at(0) });
    await time.pass(2);
    expect(await replays.get('x')).toMatchObject({ state: 'STARTING' });
    await time.pass(3);
    expect(await replays.get('x')).toMatchObject({ state: 'COMPLETED' });
  });

  it('whose end was never stored can be cancelled, and goes on at the next start', async () => {
    const kept = memoryStore();
    let isFull = true;
    const store: RecordStore = {
      ...kept,
      async put(key, value, ...more) {
        if (isFull && (value as StoredReplay).endedAt) throw new Error('the disk is full');
        return kept.put(key, value, ...more);
      },
    };
    const { time, replays } = alone(store);
    for (const name of ['x', 'y']) await replays.start({ name, from: at(-60), to: at(0) });
    await time.pass(60);
    isFull = false;
    expect(await replays.get('x')).toMatchObject({ state: 'STARTING' });
    await replays.cancel('x');
    await time.pass(1);
    expect(await replays.get('x')).toMatchObject({ state: 'CANCELLED' });
    await replays.recover();
    await time.pass(1);
    expect(await replays.get('y')).toMatchObject({ state: 'COMPLETED' });
  });

  it('counts what fails and makes no dead letter of it, however often it is made; what did happen keeps its own', async () => {
    const rule = defineRule({
      name: 'broken',
      summary: 'Fails.',
      on: [taskCompleted],
      emits: [],
      uses: [],
      kind: 'state',
    });
    const broken = react(rule, async () => {
      throw new Error('not today');
    });
    const world = open({ reactions: [broken] });
    await world.engine.bus.publish([happened(at(0), 'a'), happened(at(0), 'b')]);
    await world.time.pass(600);
    expect(await world.engine.bus.deadLetters()).toHaveLength(2);
    for (const name of ['one', 'two']) {
      await world.engine.replays.start({ name, from: FROM, to: TO });
      await world.time.pass(600);
      expect(await world.engine.replays.get(name)).toMatchObject({
        state: 'COMPLETED',
        events: 2,
        failed: 2,
        reason: expect.stringMatching(/"broken".*not today/),
      });
    }
    expect((await world.engine.bus.deadLetters()).map(({ event }) => event['replay-name'])).toEqual([
      undefined,
      undefined,
    ]);
  });
});

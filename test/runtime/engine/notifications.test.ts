import { describe, expect, it } from '@jest/globals';
import { notificationDue } from '../../../events/notification-due.ts';
import { letterIdOf } from '../../../runtime/engine/event-bus.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { BatonError } from '../../../runtime/errors.ts';
import type { RecordStore, Webhooks } from '../../../runtime/ports.ts';
import { taskKey } from '../../../runtime/records.ts';
import { anEvent, aTask, aTaskId, at } from '../../builders.ts';
import { anEngine, type EngineFixtureOptions, runAt } from './engine-fixture.ts';

type Answer = 'delivered' | 'refused' | 'unavailable' | 'silence';

/** A receiver whose answers a test gives; the last one stands for ever after. */
function aReceiver(...given: Answer[]) {
  let answers = given;
  const posts: { target: string; id: string; status: string }[] = [];
  const webhooks: Webhooks = {
    async post(target, { status }, { id }) {
      posts.push({ target, id, status });
      switch (answers.length > 1 ? answers.shift() : answers[0]) {
        case 'refused':
          return { outcome: 'refused', message: 'hooks.example.org answered 404.' };
        case 'unavailable':
          throw new BatonError('channel_unavailable', 'hooks.example.org answered 503.');
        case 'silence':
          return new Promise(() => undefined);
        default:
          return { outcome: 'delivered' };
      }
    },
  };
  return {
    posts,
    webhooks,
    comesUp() {
      answers = ['delivered'];
    },
  };
}

const target = 'https://hooks.example.org/hidden';

/** A world in which every repository has this subscriber. */
async function aWorld(receiver: ReturnType<typeof aReceiver>, options: EngineFixtureOptions = {}) {
  const world = anEngine({ limit: 5, ...options, more: { webhooks: receiver.webhooks } });
  const config = { subscribers: [{ channel: 'webhook' as const, target }] };
  await world.engine.ports.configurations.set('*', config, { id: 'set-1', at: at(0) });
  return {
    ...world,
    /** A task that runs, reports and settles; answers its id. */
    async completes(key: string): Promise<string> {
      const taskId = await world.submit(key);
      const run = runAt(world.compute, world.compute.runs.length - 1);
      await world.comesUp(run);
      await world.reports(run);
      await world.exits(run);
      expect(await world.task(taskId)).toMatchObject({ status: 'COMPLETED', settledAt: expect.any(String) });
      return taskId;
    },
  };
}

describe('a subscriber', () => {
  it('is told once, however often every event comes', async () => {
    const receiver = aReceiver();
    const world = await aWorld(receiver, { copies: () => 3 });
    const taskId = await world.completes('roof');
    await world.time.pass(10_000);
    expect(receiver.posts).toEqual([{ target, id: `${taskId}#notify#0`, status: 'COMPLETED' }]);
  });

  it('is told of a cancelled task too', async () => {
    const receiver = aReceiver();
    const world = await aWorld(receiver, { limit: 0 });
    const taskId = await world.submit('roof');
    await world.cancel(taskId);
    expect(receiver.posts).toMatchObject([{ status: 'CANCELLED' }]);
  });

  it('who was down for hours is told when it is up, under the same id; the task settled long before', async () => {
    const receiver = aReceiver(...Array<Answer>(9).fill('unavailable'), 'delivered');
    const world = await aWorld(receiver);
    const taskId = await world.completes('roof');
    await world.time.pass(7 * 3_600);
    expect(new Set(receiver.posts.map(({ id }) => id))).toEqual(new Set([`${taskId}#notify#0`]));
    expect(receiver.posts).toHaveLength(10);
    expect(world.letters).toEqual([]);
    expect(world.engine.bus.pending()).toBe(0);
  });

  it('who stays down goes to the dead letters, and is told by a redrive; by a second one nothing', async () => {
    const receiver = aReceiver('unavailable');
    const world = await aWorld(receiver);
    await world.completes('roof');
    await world.time.pass(8 * 3_600);
    expect(world.letters).toMatchObject([{ rule: 'post-webhook', error: { code: 'channel_unavailable' } }]);
    const before = receiver.posts.length;
    receiver.comesUp();
    const [dead] = await world.store.list('DEAD#', { limit: 9 });
    const redrive = async () => {
      const done = world.engine.bus.redeliver(letterIdOf(dead?.key ?? ''));
      await world.time.quiet();
      return done;
    };
    expect([await redrive(), await redrive()]).toEqual(['handled', 'unknown_letter']);
    // Whoever kept the event and sends it again reaches nobody: it was handled under its id.
    await world.engine.bus.publish(world.letters.map(({ event }) => event));
    await world.time.pass(8 * 3_600);
    expect(receiver.posts).toHaveLength(before + 1);
    expect(new Set(receiver.posts.map(({ id }) => id)).size).toBe(1);
  });

  it('who refuses is told nothing more, and the refusal is a fact without the address', async () => {
    const receiver = aReceiver('refused');
    const world = await aWorld(receiver, { copies: () => 2 });
    const taskId = await world.completes('roof');
    await world.time.pass(10_000);
    expect(receiver.posts).toHaveLength(1);
    expect(world.facts(taskId).filter((type) => type === 'NotificationRefused')).toHaveLength(1);
    expect(JSON.stringify(world.heard)).not.toContain('hidden');
  });

  it('is told nothing by a replay of everything, three times', async () => {
    const receiver = aReceiver();
    const world = await aWorld(receiver);
    await world.completes('roof');
    const archived = [...world.heard];
    for (const name of ['one', 'two', 'three']) {
      await world.engine.bus.publish(archived.map((event) => ({ ...event, 'replay-name': name })).reverse());
      await world.time.quiet();
    }
    expect(receiver.posts).toHaveLength(1);
  });
});

describe('a receiver that never answers', () => {
  it('keeps no task waiting, however many messages it holds', async () => {
    const receiver = aReceiver('silence');
    const world = await aWorld(receiver);
    const held = aTask({
      status: 'COMPLETED',
      subscribers: [{ channel: 'webhook', target }],
      settledAt: at(0),
      due: {},
    });
    await world.store.put(taskKey(held.taskId), held, 'any');
    const fact = notificationDue.of({ channel: 'webhook', subscriber: 0, status: 'COMPLETED' });
    // More than the bus handles at the same time.
    const many = Array.from({ length: 300 }, (_, n) => anEvent(fact, { id: `${aTaskId()}#notify#${n}` }));
    await world.engine.bus.publish(many);
    await world.time.quiet();
    expect(receiver.posts.length).toBeGreaterThan(0);
    await world.completes('roof');
  });
});

describe('a ledger that cannot be written', () => {
  it('costs that notification its try, and nothing else', async () => {
    const kept = memoryStore({ freezeValues: true });
    let troubled = true;
    const store: RecordStore = {
      ...kept,
      get: async (key) => {
        if (troubled && key.startsWith('EFFECT#')) throw new BatonError('service_throttled', 'the table throttles');
        return kept.get(key);
      },
    };
    const receiver = aReceiver();
    const world = await aWorld(receiver, { store });
    await world.completes('roof');
    expect(receiver.posts).toEqual([]);
    troubled = false;
    await world.time.pass(2);
    expect(receiver.posts).toHaveLength(1);
    expect(world.letters).toEqual([]);
  });
});

import { beforeEach, describe, expect, it } from '@jest/globals';
import { ecsTaskStateChange } from '../../events/aws/ecs-task-state-change.ts';
import type { AnyEventDefinition } from '../../events/define.ts';
import { runClaimed } from '../../events/run-claimed.ts';
import { taskQueued } from '../../events/task-queued.ts';
import { taskRequested } from '../../events/task-requested.ts';
import { defineRule, type Rule } from '../../rules/rule.ts';
import {
  type DeadLetter,
  type EventBus,
  eventBus,
  letterIdOf,
  type Redelivery,
} from '../../runtime/engine/event-bus.ts';
import { BatonError } from '../../runtime/errors.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import type { Reaction } from '../../runtime/react.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import { anArn, anEcsEvent, anEvent, aRequest, aTaskId, at } from '../builders.ts';
import { type VirtualTime, virtualTime } from '../runtime/engine/virtual-time.ts';
import { onEmbeddedStores } from './stores.ts';

const queued = (position: number) => anEvent(taskQueued.of({ slotKey: 'k', position }), { id: `queued-${position}` });
const rule = (name: string, on: readonly AnyEventDefinition[] = [taskQueued], where?: Rule['where']): Rule =>
  defineRule({ name, summary: '', on, emits: [taskQueued], uses: [], kind: 'state', ...(where ? { where } : {}) });

onEmbeddedStores((present) => {
  let time: VirtualTime;
  let letters: DeadLetter[];
  beforeEach(() => {
    time = virtualTime();
    letters = [];
  });

  /** A bus whose rules do as told; `got` has what each was given, with the number of the try. */
  function open(
    rules: readonly [Rule, ((event: Envelope, tries: number) => Promise<readonly BatonEvent[]>)?][],
    { store = present.store, copies }: { store?: RecordStore; copies?: (event: Envelope) => number } = {},
  ) {
    const got: string[] = [];
    const reactions: Reaction[] = rules.map(([one, react]) => ({
      rule: one,
      run: async (event, _ports, _world, { tries }) => {
        got.push(`${one.name} ${event.id} ${tries}`);
        return react ? react(event, tries) : [];
      },
    }));
    const bus = eventBus({
      store,
      scheduler: time,
      reactions,
      portsOf: () => ({}),
      world: {
        now: time.now,
        republishAgeSeconds: () => 10,
        journal: { ignored: () => undefined, duplicate: () => undefined },
      },
      onDeadLetter: (letter) => letters.push(letter),
      ...(copies ? { copies } : {}),
    });
    return { bus, got };
  }
  const rows = async (store = present.store) => store.list('EVENT#', { limit: 100 });
  async function settled(bus: EventBus): Promise<void> {
    for (let n = 0; n < 50 && bus.pending() > 0; n++) await time.quiet();
  }

  describe('an event', () => {
    it('reaches every rule that matches, and no other', async () => {
      const { bus, got } = open([
        [rule('one')],
        [rule('two')],
        [rule('first-only', [taskQueued], { data: { position: [1] } })],
        [rule('other', [runClaimed])],
      ]);
      await bus.publish([queued(1), queued(2)]);
      await settled(bus);
      expect(got.sort()).toEqual([
        'first-only queued-1 1',
        'one queued-1 1',
        'one queued-2 1',
        'two queued-1 1',
        'two queued-2 1',
      ]);
      expect(await rows()).toEqual([]);
    });

    it('is kept until every rule has acknowledged it', async () => {
      let release: () => void = () => undefined;
      const { bus } = open([
        [rule('fast')],
        [
          rule('slow'),
          () =>
            new Promise((resolve) => {
              release = () => resolve([]);
            }),
        ],
      ]);
      await bus.publish([queued(1)]);
      await time.quiet();
      expect((await rows())[0]?.value).toMatchObject({ pending: { slow: 1 } });
      release();
      await settled(bus);
      expect(await rows()).toEqual([]);
    });

    it('of a type that nobody reacts to is heard, and not kept', async () => {
      const { bus, got } = open([[rule('one')]]);
      const heard: string[] = [];
      const stop = bus.listen((event) => heard.push(event['detail-type']));
      await bus.publish([{ ...queued(1), 'detail-type': 'SomethingElse' }]);
      stop();
      await bus.publish([{ ...queued(1), 'detail-type': 'SomethingLater' }]);
      await settled(bus);
      expect(heard).toEqual(['SomethingElse']);
      expect([got, await rows()]).toEqual([[], []]);
    });

    it('of the right type from the wrong source reaches nobody', async () => {
      const { bus, got } = open([[rule('one')]]);
      await bus.publish([{ ...queued(1), source: 'baton.request' }]);
      await settled(bus);
      expect(got).toEqual([]);
    });

    it('brings what its rule says to those that wait for it', async () => {
      const { bus, got } = open([[rule('asks', [taskRequested]), async () => [queued(1)]], [rule('hears')]]);
      await bus.publish([aRequest('TaskRequested', {}, 'request')]);
      await settled(bus);
      expect(got).toEqual(['asks request 1', 'hears queued-1 1']);
    });

    it('is delivered as often as duplicates are asked for, and acknowledged when all are through', async () => {
      const { bus, got } = open([[rule('one')]], { copies: () => 3 });
      await bus.publish([queued(1)]);
      await settled(bus);
      expect(got).toHaveLength(3);
      expect(await rows()).toEqual([]);
    });
  });

  describe('a rule that fails', () => {
    it('is tried again, later each time, and told the number of the try', async () => {
      const when: string[] = [];
      const { bus, got } = open([
        [
          rule('shaky'),
          async (_event, tries) => {
            when.push(time.now());
            if (tries < 3) throw new Error('not yet');
            return [];
          },
        ],
      ]);
      await bus.publish([queued(1)]);
      await time.pass(10);
      expect(got).toEqual([1, 2, 3].map((n) => `shaky queued-1 ${n}`));
      expect(when).toEqual([at(0), at(0.25), at(1.25)]);
      expect([letters, await rows()]).toEqual([[], []]);
    });

    it('ends in the dead letters after its attempts, with what is needed to mend it', async () => {
      const { bus, got } = open([[rule('broken'), () => Promise.reject(new Error('no luck'))]]);
      await bus.publish([queued(1)]);
      await time.pass(60);
      expect(got).toHaveLength(3);
      expect(letters).toMatchObject([
        { rule: 'broken', tries: 3, event: { id: 'queued-1' }, error: { code: 'unexpected', message: 'no luck' } },
      ]);
      expect(await bus.deadLetters()).toEqual(letters);
      expect(await rows()).toEqual([]);
    });

    it('for good is not tried again', async () => {
      const { bus, got } = open([[rule('never'), () => Promise.reject(new BatonError('bad_input', 'never'))]]);
      await bus.publish([queued(1)]);
      await time.pass(60);
      expect(got).toHaveLength(1);
      expect(letters).toMatchObject([{ error: { code: 'bad_input' } }]);
    });

    it('does not touch another rule of the same event, nor other events', async () => {
      const { bus, got } = open([
        [
          rule('broken'),
          async (event) => {
            if (event.id === 'queued-1') throw new Error('no');
            return [];
          },
        ],
        [rule('healthy')],
      ]);
      await bus.publish([queued(1), queued(2)]);
      await time.pass(60);
      expect(got.filter((one) => one.startsWith('healthy'))).toEqual(['healthy queued-1 1', 'healthy queued-2 1']);
      expect(letters).toHaveLength(1);
    });
  });

  describe('a dead letter that is redriven', () => {
    const letterKeys = async (store = present.store) =>
      (await store.list('DEAD#', { limit: 100 })).map(({ key }) => letterIdOf(key));

    /** A bus with one dead letter of `broken`, whose cause can be mended; `healthy` hears the same event. */
    async function withDeadLetter() {
      let isMended = false;
      const opened = open([
        [
          rule('broken'),
          async () => {
            if (!isMended) throw new Error('no luck');
            return [];
          },
        ],
        [rule('healthy')],
      ]);
      await opened.bus.publish([queued(1)]);
      await time.pass(60);
      opened.got.length = 0;
      const [id = ''] = await letterKeys();
      return { ...opened, id, mend: () => (isMended = true) };
    }
    async function redriven(bus: EventBus, id: string): Promise<Redelivery> {
      const became = bus.redeliver(id);
      await time.pass(60);
      return became;
    }

    it('goes as it is, as a retry, to the rule that failed and to no other; then it is gone', async () => {
      const { bus, got, id, mend } = await withDeadLetter();
      mend();
      expect(await redriven(bus, id)).toBe('handled');
      expect(got).toEqual(['broken queued-1 2']);
      expect([await letterKeys(), await rows(), bus.pending()]).toEqual([[], [], 0]);
    });

    it('and fails again keeps its id, with the new error and all its tries', async () => {
      const { bus, id } = await withDeadLetter();
      expect(await redriven(bus, id)).toBe('failed');
      expect(await letterKeys()).toEqual([id]);
      expect(await bus.deadLetters()).toMatchObject([{ rule: 'broken', tries: 5, event: { id: 'queued-1' } }]);
      expect(await rows()).toEqual([]);
    });

    it('by two at once is delivered once', async () => {
      const { bus, got, id, mend } = await withDeadLetter();
      mend();
      const both = [bus.redeliver(id), bus.redeliver(id)];
      await time.pass(60);
      expect(await Promise.all(both)).toEqual(['handled', 'handled']);
      expect(got).toHaveLength(1);
      expect(await redriven(bus, id)).toBe('unknown_letter');
    });

    it('is not lost when the process dies in the middle: the next one delivers it, to that rule alone', async () => {
      const { id } = await withDeadLetter();
      const dying = open([[rule('broken'), () => new Promise(() => undefined)], [rule('healthy')]]);
      void dying.bus.redeliver(id);
      await time.quiet();
      expect([dying.got, await letterKeys()]).toEqual([['broken queued-1 2'], [id]]);
      await present.store.durable();
      const store = await present.reopen();
      expect(await letterKeys(store)).toEqual([id]);

      const next = open([[rule('broken')], [rule('healthy')]], { store });
      await next.bus.recover();
      await settled(next.bus);
      expect(next.got).toEqual(['broken queued-1 2']);
      expect([await letterKeys(store), await rows(store)]).toEqual([[], []]);
    });

    it('comes back when the process died after its letter was taken away, and it then fails', async () => {
      const { id } = await withDeadLetter();
      const dying = open([[rule('broken'), () => new Promise(() => undefined)]]);
      void dying.bus.redeliver(id);
      await time.quiet();
      await present.store.delete(`DEAD#${id.replace('.', '#')}`);
      await present.store.durable();
      const store = await present.reopen();
      const next = open([[rule('broken'), () => Promise.reject(new Error('still not'))]], { store });
      await next.bus.recover();
      for (let n = 0; n < 10; n++) await time.pass(5);
      expect(await letterKeys(store)).toEqual([id]);
      expect(await rows(store)).toEqual([]);
    });

    it('of a rule that is gone stays where it is', async () => {
      const { id } = await withDeadLetter();
      const next = open([[rule('healthy')]]);
      expect(await redriven(next.bus, id)).toBe('unknown_rule');
      expect([await letterKeys(), await rows()]).toEqual([[id], []]);
    });
  });

  describe('an event from outside that is malformed', () => {
    it.each([
      [
        'of an agent',
        runClaimed,
        {
          ...anEvent(runClaimed.of({ taskId: aTaskId(), attempt: 1, nativeId: anArn(), seq: 1 })),
          detail: { data: { attempt: 'one' } },
        },
      ],
      ['of ECS', ecsTaskStateChange, { ...anEcsEvent(), detail: { taskArn: 7 } }],
      ['of ECS, without anything', ecsTaskStateChange, { ...anEcsEvent(), detail: {} }],
    ] as [string, AnyEventDefinition, Envelope][])(
      '%s is a dead letter that says what is wrong, and reaches nobody',
      async (_, on, event) => {
        const { bus, got } = open([[rule('one', [on])]]);
        await bus.publish([event]);
        await time.pass(60);
        expect(got).toEqual([]);
        expect(letters).toMatchObject([{ tries: 1, error: { code: 'malformed_event' } }]);
        expect(await rows()).toEqual([]);
      },
    );

    it('but whose reaction is to store why is delivered all the same', async () => {
      const { bus, got } = open([[rule('accept', [taskRequested])]]);
      await bus.publish([aRequest('TaskRequested', { nonsense: true }, 'request')]);
      await settled(bus);
      expect(got).toEqual(['accept request 1']);
    });
  });

  describe('a world that ends', () => {
    it('leaves what was not acknowledged to the next, which counts it as a retry', async () => {
      const never = open([[rule('acknowledged')], [rule('stuck'), () => new Promise(() => undefined)]]);
      await never.bus.publish([queued(1)]);
      await time.quiet();
      await present.store.durable();
      const store = await present.reopen();
      const next = open([[rule('acknowledged')], [rule('stuck')]], { store });
      expect(await next.bus.recover()).toBe(1);
      await settled(next.bus);
      expect(next.got).toEqual(['stuck queued-1 2']);
      expect(await rows(store)).toEqual([]);
    });

    it('leaves a failed delivery that waits for its next try', async () => {
      const broken = open([[rule('one'), () => Promise.reject(new Error('no'))]]);
      await broken.bus.publish([queued(1)]);
      await time.quiet();
      await broken.bus.stop();
      const next = open([[rule('one')]]);
      await next.bus.recover();
      await settled(next.bus);
      expect(next.got).toEqual(['one queued-1 2']);
    });

    it('keeps its dead letters', async () => {
      const broken = open([[rule('one'), () => Promise.reject(new BatonError('bad_input', 'never'))]]);
      await broken.bus.publish([queued(1)]);
      await time.pass(1);
      await present.store.durable();
      const next = open([[rule('one')]], { store: await present.reopen() });
      expect(await next.bus.deadLetters()).toMatchObject([{ rule: 'one', event: { id: 'queued-1' } }]);
    });

    it('lets go of events whose rule is gone', async () => {
      const old = open([[rule('gone'), () => new Promise(() => undefined)]]);
      await old.bus.publish([queued(1)]);
      await time.quiet();
      const next = open([[rule('one')]]);
      await next.bus.recover();
      await settled(next.bus);
      expect([next.got, await rows()]).toEqual([[], []]);
    });
  });
});

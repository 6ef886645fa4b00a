import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { runProgressed } from '../../../events/run-progressed.ts';
import { taskAdmitted } from '../../../events/task-admitted.ts';
import { taskQueued } from '../../../events/task-queued.ts';
import { eventBridgeBus } from '../../../runtime/aws/eventbridge-bus.ts';
import { eventBridgeService } from '../../../runtime/endpoint/aws/eventbridge.ts';
import type { BatonEvent, Envelope } from '../../../schemas/envelope.ts';
import { anEvent, aTaskId, at } from '../../builders.ts';
import { type Served, served } from './served.ts';
import { type Answer, anError, aWire, type Script, type Wire } from './wire.ts';

interface PutEvents {
  readonly Entries: readonly {
    readonly EventBusName: string;
    readonly Source: string;
    readonly DetailType: string;
    readonly Detail: string;
    readonly Resources: readonly string[];
    readonly Time: number;
  }[];
}

/** A fact on whose delivery the next step of its task depends, and one that only tells. */
const driving = (id: string): BatonEvent => anEvent(taskAdmitted.of({ slotKey: 'user:ada' }), { id });
const telling = (id: string): BatonEvent => anEvent(taskQueued.of({ slotKey: 'user:ada', position: 1 }), { id });
const named = (ids: readonly string[]) => ids.map(telling);

const progress = { taskId: aTaskId(), attempt: 1, nativeId: 'run', seq: 1, text: '' };
/** Progress whose entry has this many bytes: 14 for the time, then source, type, detail and resources in UTF-8. */
const ofBytes = (bytes: number) => (id: string) => {
  const event = (text: string) => anEvent(runProgressed.of({ ...progress, text }), { id });
  const { source, detail, 'detail-type': type } = event('é');
  const rest = 14 + Buffer.byteLength(source + type + JSON.stringify(detail)) - 2;
  return event('é'.repeat(Math.floor((bytes - rest) / 2)) + 'x'.repeat((bytes - rest) % 2));
};

const entriesOf = (body: unknown) => (body as PutEvents).Entries;
const idOf = (entry: { Detail: string }): string => JSON.parse(entry.Detail).metadata.id;
/** Ids in each call, in order. */
const calls = (wire: Wire): string[][] => wire.bodies<PutEvents>('PutEvents').map(({ Entries }) => Entries.map(idOf));

const accepted: Script = ({ body }) => answered(entriesOf(body).map(() => undefined));
/** An answer that fails the entries that have an error code. */
const answered = (codes: (string | undefined)[]): Answer => ({
  body: {
    FailedEntryCount: codes.filter((code) => code !== undefined).length,
    Entries: codes.map((code, n) =>
      code === undefined ? { EventId: `id-${n}` } : { ErrorCode: code, ErrorMessage: 'no' },
    ),
  },
});
/** Fails the entries of these ids with the code as often as said. */
function failing(times: Record<string, number>, code = 'InternalFailure'): Script {
  const left = { ...times };
  return ({ body }) =>
    answered(
      entriesOf(body).map((entry) => {
        const id = idOf(entry);
        left[id] = (left[id] ?? 0) - 1;
        return left[id] >= 0 ? code : undefined;
      }),
    );
}

async function aBus(script: Script, options: { maxAttempts?: number } = {}) {
  const wire = await aWire(script);
  const pauses: number[] = [];
  const bus = eventBridgeBus({
    client: new EventBridgeClient({ ...wire.client, ...options }),
    bus: 'baton-test',
    pause: async (ms) => {
      pauses.push(ms);
    },
  });
  return { bus, wire, pauses };
}

describe('an event that is published', () => {
  it('is an entry with its source, type, time and resources, and its detail as it is', async () => {
    const { bus, wire } = await aBus(accepted);
    const event: Envelope = { ...driving('one'), resources: ['arn:aws:ecs:eu-west-1:0:task/x'], time: at(7) };
    await bus.publish([event]);
    const [entry] = entriesOf(wire.calls[0]?.body);
    expect(entry).toEqual({
      EventBusName: 'baton-test',
      Source: 'baton',
      DetailType: 'TaskAdmitted',
      Detail: JSON.stringify(event.detail),
      Resources: ['arn:aws:ecs:eu-west-1:0:task/x'],
      Time: Date.parse(at(7)) / 1000,
    });
  });

  it('is no call where there is none', async () => {
    const { bus, wire } = await aBus(accepted);
    await bus.publish([]);
    expect(wire.calls).toEqual([]);
  });

  it('goes with nine others at the most', async () => {
    const { bus, wire } = await aBus(accepted);
    const ids = Array.from({ length: 23 }, (_, n) => `n${n}`);
    await bus.publish(named(ids));
    expect(calls(wire)).toEqual([ids.slice(0, 10), ids.slice(10, 20), ids.slice(20)]);
  });

  it('goes with as many others as fit into less than 1 MB, counted as EventBridge counts', async () => {
    const { bus, wire } = await aBus(accepted);
    const third = ofBytes(349_525);
    await bus.publish([third('a'), third('b'), third('c'), third('d')]);
    expect(calls(wire)).toEqual([['a', 'b', 'c'], ['d']]);
    const half = ofBytes(524_288);
    await bus.publish([half('e'), half('f')]);
    expect(calls(wire).slice(2)).toEqual([['e'], ['f']]);
  });

  it('is refused by name, and nothing is sent, when it can never fit', async () => {
    const { bus, wire } = await aBus(accepted);
    await bus.publish([ofBytes(1_048_575)('fits')]);
    const published = bus.publish([telling('small'), ofBytes(1_048_576)('huge')]);
    await expect(published).rejects.toMatchObject({
      code: 'service_refused',
      retry: 'never',
      message: expect.stringMatching(/RunProgressed huge has 1048576 bytes/),
    });
    expect(calls(wire)).toEqual([['fits']]);
  });
});

describe('a fact that drives its task on', () => {
  it('goes in a call of its own after the others, wherever it stood', async () => {
    const { bus, wire } = await aBus(accepted);
    await bus.publish([telling('a'), driving('b'), telling('c'), driving('d')]);
    expect(calls(wire)).toEqual([
      ['a', 'c'],
      ['b', 'd'],
    ]);
  });

  it('waits until every other entry was accepted', async () => {
    const { bus, wire } = await aBus(failing({ a: 2, c: 1 }));
    await bus.publish([telling('a'), telling('b'), telling('c'), driving('d')]);
    expect(calls(wire)).toEqual([['a', 'b', 'c'], ['a', 'c'], ['a'], ['d']]);
  });

  it('is held back when another entry is never accepted', async () => {
    const { bus, wire } = await aBus(failing({ a: 99 }));
    await expect(bus.publish([telling('a'), driving('d')])).rejects.toMatchObject({ code: 'service_unavailable' });
    expect(calls(wire).flat()).not.toContain('d');
  });
});

// F30
describe('an answer of 200 with failed entries', () => {
  it('has those put again, alone and by their places', async () => {
    const { bus, wire } = await aBus(failing({ b: 1, e: 1 }, 'ThrottlingException'));
    await bus.publish(named(['a', 'b', 'c', 'd', 'e']));
    expect(calls(wire)).toEqual([
      ['a', 'b', 'c', 'd', 'e'],
      ['b', 'e'],
    ]);
  });

  it('has them put again after waits that double and differ by chance', async () => {
    const { bus, pauses } = await aBus(failing({ a: 5 }));
    await bus.publish([telling('a')]);
    expect(pauses).toHaveLength(5);
    for (const [n, ms] of pauses.entries()) {
      expect(ms).toBeGreaterThanOrEqual((50 * 2 ** n) / 2);
      expect(ms).toBeLessThanOrEqual(50 * 2 ** n);
    }
    expect(new Set(pauses.map((ms, n) => ms / 2 ** n)).size).toBeGreaterThan(1);
  });

  it.each([
    ['ThrottlingException', 'service_throttled'],
    ['InternalFailure', 'service_unavailable'],
    ['SomethingNew', 'service_unavailable'],
  ])('is given up after six tries with %s, so that the delivery is tried again', async (code, expected) => {
    const { bus, wire } = await aBus(failing({ b: 99 }, code));
    await expect(bus.publish([telling('a'), telling('b')])).rejects.toMatchObject({
      code: expected,
      retry: 'soon',
      message: expect.stringMatching(/TaskQueued b \(/),
    });
    expect(calls(wire)).toEqual([['a', 'b'], ...Array.from({ length: 5 }, () => ['b'])]);
  });

  it.each([
    ['NotAuthorizedForSourceException', 'service_denied'],
    ['MalformedDetail', 'service_refused'],
  ])('is not asked again about %s, and the others still go', async (code, expected) => {
    const passing = failing({ c: 1 });
    const { bus, wire } = await aBus((call, nth) => {
      const answer = passing(call, nth) as { body: { Entries: object[] } };
      const place = entriesOf(call.body).findIndex((entry) => idOf(entry) === 'b');
      if (place >= 0) answer.body.Entries[place] = { ErrorCode: code, ErrorMessage: 'never' };
      return answer as Answer;
    });
    const published = bus.publish([...named(['a', 'b', 'c', ...'defghijklm']), driving('z')]);
    await expect(published).rejects.toMatchObject({
      code: expected,
      retry: 'never',
      message: expect.stringContaining(`TaskQueued b (${code}: never)`),
    });
    expect(calls(wire)).toEqual([['a', 'b', 'c', ...'defghij'], ['c'], [...'klm']]);
  });

  it('is never tried again when one entry was refused, however the others fare', async () => {
    const { bus } = await aBus(({ body }) =>
      answered(entriesOf(body).map((entry) => (idOf(entry) === 'b' ? 'AccessDeniedException' : 'ThrottlingException'))),
    );
    await expect(bus.publish(named(['a', 'b']))).rejects.toMatchObject({
      code: 'service_denied',
      message: expect.stringMatching(/TaskQueued b \(.*TaskQueued a \(/),
    });
  });

  it('counts an entry without an answer as failed', async () => {
    const { bus, wire } = await aBus((call, nth) =>
      nth === 0 ? { body: { FailedEntryCount: 0, Entries: [{ EventId: 'x' }] } } : accepted(call, nth),
    );
    await bus.publish(named(['a', 'b']));
    expect(calls(wire)).toEqual([['a', 'b'], ['b']]);
  });
});

describe('whatever fails in passing', () => {
  it('leaves every event accepted once, and the driving ones after all others', async () => {
    const publication = fc.array(fc.record({ drives: fc.boolean(), failures: fc.integer({ min: 0, max: 5 }) }), {
      maxLength: 25,
    });
    await fc.assert(
      fc.asyncProperty(publication, async (wanted) => {
        const events = wanted.map(({ drives }, n) => (drives ? driving : telling)(`n${n}`));
        const accepts: string[] = [];
        const sends: string[] = [];
        const script = failing(Object.fromEntries(wanted.map(({ failures }, n) => [`n${n}`, failures])));
        const { bus } = await aBus((call, nth) => {
          const answer = script(call, nth) as { body: { Entries: { EventId?: string }[] } };
          const ids = entriesOf(call.body).map(idOf);
          sends.push(...ids);
          accepts.push(...ids.filter((_, place) => answer.body.Entries[place]?.EventId !== undefined));
          return answer as Answer;
        });
        await bus.publish(events);
        const drivers = new Set(events.filter((_, n) => wanted[n]?.drives).map(({ id }) => id));
        const firstDriver = accepts.findIndex((id) => drivers.has(id));
        expect([...accepts].sort()).toEqual(events.map(({ id }) => id).sort());
        if (firstDriver >= 0) expect(accepts.slice(firstDriver).every((id) => drivers.has(id))).toBe(true);
        expect(sends).toHaveLength(wanted.reduce((sum, { failures }) => sum + failures + 1, 0));
      }),
      { numRuns: 40 },
    );
  });
});

describe('a call that fails whole', () => {
  it('is repeated by the SDK with the same ids when its answer was lost', async () => {
    const { bus, wire } = await aBus((call, nth) => (nth === 0 ? 'hang up' : accepted(call, nth)), { maxAttempts: 3 });
    await bus.publish(named(['a', 'b']));
    expect(calls(wire)).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });

  it.each([
    ['ThrottlingException', anError('ThrottlingException'), 'service_throttled', 'soon'],
    ['InternalException', anError('InternalException', '', 500), 'service_unavailable', 'soon'],
    ['no answer', 'hang up', 'service_unavailable', 'soon'],
    ['AccessDeniedException', anError('AccessDeniedException', '', 403), 'service_denied', 'never'],
    ['ValidationException', anError('ValidationException'), 'service_refused', 'never'],
  ] as const)('says when to try again: %s', async (_, answer, code, retry) => {
    const { bus } = await aBus(() => answer);
    await expect(bus.publish([telling('a')])).rejects.toMatchObject({ code, retry });
  });
});

// F30
describe('the bus is looked for', () => {
  it('and found', async () => {
    const { bus, wire } = await aBus(() => ({ body: { Name: 'baton-test', Arn: 'arn' } }));
    await bus.verify();
    expect(wire.bodies('DescribeEventBus')).toEqual([{ Name: 'baton-test' }]);
  });

  it('and missing, which says so by name', async () => {
    const { bus } = await aBus(() => anError('ResourceNotFoundException', 'Event bus baton-test does not exist.'));
    await expect(bus.verify()).rejects.toMatchObject({
      code: 'bus_missing',
      message: expect.stringContaining('baton-test'),
    });
  });

  it('and not to be seen, which is another thing', async () => {
    const { bus } = await aBus(() => anError('AccessDeniedException', 'no', 403));
    await expect(bus.verify()).rejects.toMatchObject({ code: 'service_denied' });
  });
});

describe('a bus with the limits of EventBridge', () => {
  let service: Served;
  afterEach(() => service.close());

  async function aServedBus(busName = 'baton-test') {
    const heard: Envelope[] = [];
    let failures = 0;
    const publish = async (events: readonly Envelope[]) => {
      // Every second call fails, and its entries with it.
      if (++failures % 2 === 1) throw new Error('not now');
      heard.push(...events);
    };
    const place = { account: '000000000000', region: 'eu-west-1' };
    const buses = [{ name: 'baton-test', publish, refuses: (source: string) => source === 'baton.agent' }];
    service = await served([eventBridgeService({ place, buses, rules: [], now: () => at(0) })]);
    const client = new EventBridgeClient(service.client);
    return { bus: eventBridgeBus({ client, bus: busName, pause: async () => undefined }), heard };
  }

  it('takes whatever is published, whole and once, driving facts last', async () => {
    const { bus, heard } = await aServedBus('arn:aws:events:eu-west-1:000000000000:event-bus/baton-test');
    const many = named(Array.from({ length: 25 }, (_, n) => `n${n}`));
    const events = [driving('d'), ofBytes(1_048_575)('huge'), ofBytes(400_000)('large'), ...many];
    const sourced = events.map((event) => ({ ...event, source: 'baton', time: '2026-01-01T00:00:00Z' }));
    await bus.publish(sourced);
    const [first, ...others] = sourced;
    expect(heard.map(({ id: _own, ...event }) => event)).toEqual(
      [...others, first].map((event) => ({ ...event, id: undefined, region: 'eu-west-1' })),
    );
  });

  it('says which source its policy refuses', async () => {
    const { bus, heard } = await aServedBus();
    const foreign = { ...telling('foreign'), source: 'baton.agent' };
    await expect(bus.publish([foreign, telling('own')])).rejects.toMatchObject({
      code: 'service_denied',
      message: expect.stringContaining('TaskQueued foreign (NotAuthorizedForSourceException'),
    });
    expect(heard).toHaveLength(1);
  });

  it('is found, and another is not', async () => {
    await (await aServedBus()).bus.verify();
    await service.close();
    await expect((await aServedBus('baton-other')).bus.verify()).rejects.toMatchObject({ code: 'bus_missing' });
  });
});

import {
  DescribeEventBusCommand,
  DescribeRuleCommand,
  EventBridgeClient,
  ListEventBusesCommand,
  ListRulesCommand,
  ListTargetsByRuleCommand,
  PutEventsCommand,
  type PutEventsRequestEntry,
  TestEventPatternCommand,
} from '@aws-sdk/client-eventbridge';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { acceptTask } from '../../../../rules/accept-task.ts';
import { eventPatternOf } from '../../../../rules/event-pattern.ts';
import { rules } from '../../../../rules/index.ts';
import { eventBridgeService } from '../../../../runtime/endpoint/aws/eventbridge.ts';
import { listedRules } from '../../../../runtime/endpoint/aws/listed-rules.ts';
import { ENTRIES_BYTES_BELOW, ENTRIES_MAX } from '../../../../runtime/endpoint/aws/put-events.ts';
import type { Envelope } from '../../../../schemas/envelope.ts';
import { awsServer, errorOf, place } from './aws-server.ts';

const NOW = '2026-11-21T12:00:00.250Z';
const taken: Envelope[] = [];
const warnings: string[] = [];
let trouble: Error | undefined;
let server: Awaited<ReturnType<typeof awsServer>>;
let client: EventBridgeClient;

beforeAll(async () => {
  const publish = async (events: readonly Envelope[]) => {
    if (trouble) throw trouble;
    taken.push(...events);
  };
  server = await awsServer([
    eventBridgeService({
      place,
      buses: [
        { name: 'baton', publish, refuses: (source) => source === 'baton' },
        { name: 'default', publish: async () => undefined },
      ],
      rules: listedRules(rules, 'baton', place),
      now: () => NOW,
      warn: (message) => warnings.push(message),
    }),
  ]);
  client = new EventBridgeClient(server.client);
});
afterAll(async () => {
  client.destroy();
  await server.close();
});
beforeEach(() => {
  taken.length = 0;
  warnings.length = 0;
  trouble = undefined;
});

const entry = (more: Partial<PutEventsRequestEntry> = {}): PutEventsRequestEntry => ({
  EventBusName: 'baton',
  Source: 'an.app',
  DetailType: 'Something',
  Detail: '{"a":1}',
  ...more,
});
const put = (...entries: PutEventsRequestEntry[]) => client.send(new PutEventsCommand({ Entries: entries }));

describe('an event that is put', () => {
  it('gets an id, an account, a region and a time in whole seconds', async () => {
    const { Entries, FailedEntryCount } = await put(entry({ Resources: ['one'] }));
    expect(FailedEntryCount).toBe(0);
    expect(taken).toEqual([
      {
        version: '0',
        id: Entries?.[0]?.EventId,
        'detail-type': 'Something',
        source: 'an.app',
        account: place.account,
        time: '2026-11-21T12:00:00Z',
        region: place.region,
        resources: ['one'],
        detail: { a: 1 },
      },
    ]);
  });

  it('keeps the time that it was given', async () => {
    await put(entry({ Time: new Date('2026-01-02T03:04:05Z') }));
    expect(taken[0]?.time).toBe('2026-01-02T03:04:05Z');
  });

  it('reaches a bus by its ARN, and no other than its own', async () => {
    const bus = `arn:aws:events:${place.region}:${place.account}:event-bus/baton`;
    const { EventBusName: _bus, ...forDefault } = entry({ DetailType: 'ForDefault' });
    await put(entry({ EventBusName: bus }), forDefault);
    expect(taken.map((event) => event['detail-type'])).toEqual(['Something']);
  });

  it('is lost without an error on a bus that does not exist, and the world warns', async () => {
    const told = await put(entry({ EventBusName: 'batno' }));
    expect(told.FailedEntryCount).toBe(0);
    expect(told.Entries?.[0]?.EventId).toMatch(/^[0-9a-f-]{36}$/);
    expect(warnings).toEqual([expect.stringContaining('"batno", which does not exist')]);
  });
});

describe('one of several entries', () => {
  it.each<[string, Partial<PutEventsRequestEntry>, string, string]>([
    ['without a source', { Source: undefined }, 'InvalidArgument', 'Source is a required argument'],
    ['without a detail-type', { DetailType: '' }, 'InvalidArgument', 'DetailType is a required argument'],
    ['without a detail', { Detail: undefined }, 'InvalidArgument', 'Detail is a required argument'],
    [
      'with a detail-type of 129 characters',
      { DetailType: 'x'.repeat(129) },
      'InvalidArgument',
      'DetailType is not valid',
    ],
    ['with a detail that is no JSON', { Detail: '{' }, 'MalformedDetail', 'Detail is malformed.'],
    ['with a detail that is a list', { Detail: '[1]' }, 'MalformedDetail', 'Detail is malformed.'],
    ['with a detail that is null', { Detail: 'null' }, 'MalformedDetail', 'Detail is malformed.'],
    [
      'with a detail deeper than 1,000',
      { Detail: `${'{"a":'.repeat(1_001)}1${'}'.repeat(1_001)}` },
      'MalformedDetail',
      'Detail is malformed.',
    ],
    ['in the name of AWS', { Source: 'aws.ecs' }, 'NotAuthorizedForSourceException', 'Not authorized for the source.'],
    ['in a name that is reserved', { Source: 'baton' }, 'NotAuthorizedForSourceException', 'onto this event bus'],
  ])('%s fails at its own index and keeps no other', async (_what, wrong, code, words) => {
    const told = await put(entry({ DetailType: 'First' }), entry(wrong), entry({ DetailType: 'Last' }));
    expect(told.FailedEntryCount).toBe(1);
    expect(told.Entries).toEqual([
      { EventId: taken[0]?.id },
      { ErrorCode: code, ErrorMessage: expect.stringContaining(words) },
      { EventId: taken[1]?.id },
    ]);
    expect(taken.map((event) => event['detail-type'])).toEqual(['First', 'Last']);
  });

  it('fails in a way that may pass when the bus does not take it', async () => {
    trouble = new Error('the disk is away');
    const told = await put(entry());
    expect(told).toMatchObject({ FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] });
  });
});

describe('a whole call', () => {
  it.each<[string, PutEventsRequestEntry[], string]>([
    ['without entries', [], 'greater than or equal to 1'],
    ['with eleven entries', Array.from({ length: ENTRIES_MAX + 1 }, () => entry()), 'less than or equal to 10'],
    [
      'of which no entry is whole',
      [entry({ Source: undefined }), entry({ Detail: undefined })],
      'Source is a required',
    ],
  ])('%s is refused', async (_what, entries, words) => {
    expect(await errorOf(put(...entries))).toMatchObject({
      name: 'ValidationException',
      status: 400,
      message: expect.stringContaining(words),
    });
    expect(taken).toEqual([]);
  });

  it('is refused from 1 MB on, as AWS counts: source, detail-type, detail, resources and 14 bytes of a time', async () => {
    const sized = (bytes: number) => {
      const few = entry({ Time: new Date(0), Resources: ['r'] });
      const counted = 14 + 'an.app'.length + 'Something'.length + 'r'.length;
      return put({ ...few, Detail: `"${'x'.repeat(bytes - counted - 2)}"`.replace(/^"xxxxxx(.*)"$/, '{"a":"$1"}') });
    };
    expect((await sized(ENTRIES_BYTES_BELOW - 1)).FailedEntryCount).toBe(0);
    expect(await errorOf(sized(ENTRIES_BYTES_BELOW))).toMatchObject({
      name: 'ValidationException',
      message: 'Total size of the entries in the request is over the limit.',
    });
  });
});

describe('a pattern', () => {
  const event = {
    id: '1',
    account: '1',
    source: 'a',
    time: NOW,
    region: 'r',
    resources: [],
    'detail-type': 't',
    detail: {},
  };
  const fits = (pattern: object | string, given: object = event) =>
    client.send(
      new TestEventPatternCommand({
        EventPattern: typeof pattern === 'string' ? pattern : JSON.stringify(pattern),
        Event: JSON.stringify(given),
      }),
    );

  it('is compared with a whole event', async () => {
    expect((await fits({ source: ['a'], 'detail-type': [{ prefix: 't' }] })).Result).toBe(true);
    expect((await fits({ source: ['b'] })).Result).toBe(false);
  });

  it('that is none is refused with the reason', async () => {
    for (const wrong of ['{', '[]', { source: 'a' }, { source: [{ alike: 'a' }] }]) {
      expect(await errorOf(fits(wrong))).toMatchObject({ name: 'InvalidEventPatternException', status: 400 });
    }
  });

  it('needs an event that is whole', async () => {
    const { time: _time, ...without } = event;
    expect(await errorOf(fits({ source: ['a'] }, without))).toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining('time'),
    });
  });
});

describe('buses and rules', () => {
  it('are listed: every rule on the bus of its events, with the pattern that is matched', async () => {
    const own = (await client.send(new ListRulesCommand({ EventBusName: 'baton' }))).Rules ?? [];
    const native = (await client.send(new ListRulesCommand({}))).Rules ?? [];
    const onNative = rules.filter(({ on }) => on.every(({ source }) => source.startsWith('aws.')));
    expect(onNative.length).toBeGreaterThanOrEqual(3);
    expect(native.map(({ Name }) => Name).sort()).toEqual(onNative.map(({ name }) => `baton-${name}`).sort());
    const named = [...own, ...native].map(({ Name }) => Name).sort();
    // The alarm clock reaches its queue without a rule.
    expect(named).toEqual(
      rules
        .map(({ name }) => `baton-${name}`)
        .filter((name) => name !== 'baton-wake-task')
        .sort(),
    );
    const accept = own.find(({ Name }) => Name === 'baton-accept-task');
    expect(JSON.parse(accept?.EventPattern ?? '')).toEqual(eventPatternOf(acceptTask));
    expect(accept).toMatchObject({ State: 'ENABLED', EventBusName: 'baton', Description: acceptTask.summary });
  });

  it('come in parts where that is wished', async () => {
    const all = await client.send(new ListRulesCommand({ EventBusName: 'baton' }));
    const half = Math.ceil((all.Rules?.length ?? 0) / 2);
    const first = await client.send(new ListRulesCommand({ EventBusName: 'baton', Limit: half }));
    const more = await client.send(
      new ListRulesCommand({ EventBusName: 'baton', Limit: half, NextToken: first.NextToken }),
    );
    expect(first.Rules).toHaveLength(half);
    expect([...(first.Rules ?? []), ...(more.Rules ?? [])]).toEqual(all.Rules);
    expect(more.NextToken).toBeUndefined();
  });

  it('are described, with targets', async () => {
    const bus = await client.send(new DescribeEventBusCommand({ Name: 'baton' }));
    expect(bus.Arn).toBe(`arn:aws:events:${place.region}:${place.account}:event-bus/baton`);
    const { EventBuses } = await client.send(new ListEventBusesCommand({}));
    expect(EventBuses?.map(({ Name }) => Name)).toEqual(['baton', 'default']);
    const which = { EventBusName: 'baton' };
    const rule = await client.send(new DescribeRuleCommand({ ...which, Name: 'baton-accept-task' }));
    expect(rule.Arn).toMatch(/:rule\/baton\/baton-accept-task$/);
    const targetsOf = async (rule: string) =>
      (await client.send(new ListTargetsByRuleCommand({ ...which, Rule: `baton-${rule}` }))).Targets;
    // A queue where the rule waits in one, else the function.
    expect(await targetsOf('accept-task')).toEqual([
      { Id: 'accept-task', Arn: expect.stringMatching(/^arn:aws:sqs:.*:baton-accept-task$/) },
    ]);
    expect(await targetsOf('admit-task')).toEqual([
      { Id: 'admit-task', Arn: expect.stringMatching(/:function:baton-admit-task$/) },
    ]);
  });

  it('that do not exist are not found', async () => {
    const notFound = { name: 'ResourceNotFoundException', status: 400 };
    expect(await errorOf(client.send(new DescribeEventBusCommand({ Name: 'batno' })))).toMatchObject(notFound);
    expect(await errorOf(client.send(new DescribeRuleCommand({ Name: 'baton-accept-task' })))).toMatchObject(notFound);
    expect(await errorOf(client.send(new ListRulesCommand({ EventBusName: 'batno' })))).toMatchObject(notFound);
  });
});

import {
  CancelReplayCommand,
  CreateArchiveCommand,
  type CreateArchiveCommandInput,
  DeleteArchiveCommand,
  DescribeArchiveCommand,
  DescribeReplayCommand,
  EventBridgeClient,
  ListArchivesCommand,
  ListReplaysCommand,
  ListRulesCommand,
  StartReplayCommand,
  type StartReplayCommandInput,
  UpdateArchiveCommand,
} from '@aws-sdk/client-eventbridge';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { taskCompleted } from '../../../../events/task-completed.ts';
import { rules } from '../../../../rules/index.ts';
import { archiveOperations } from '../../../../runtime/endpoint/aws/archive-operations.ts';
import { eventBridgeService, ruleArn } from '../../../../runtime/endpoint/aws/eventbridge.ts';
import { DEFAULT_BUS, listedRules } from '../../../../runtime/endpoint/aws/listed-rules.ts';
import { replayOperations } from '../../../../runtime/endpoint/aws/replay-operations.ts';
import type { Archive } from '../../../../runtime/engine/archive.ts';
import { type Archives, archivesOver } from '../../../../runtime/engine/archives.ts';
import { memoryArchive } from '../../../../runtime/engine/memory-archive.ts';
import { memoryStore } from '../../../../runtime/engine/memory-store.ts';
import { type Replays, replaysOver } from '../../../../runtime/engine/replay.ts';
import { realScheduler } from '../../../../runtime/engine/scheduler.ts';
import type { Envelope } from '../../../../schemas/envelope.ts';
import { anEcsEvent, anEvent } from '../../../builders.ts';
import { eventually } from '../../../flows/scene.ts';
import { awsServer, errorOf, place } from './aws-server.ts';

const BUS = `arn:aws:events:${place.region}:${place.account}:event-bus/baton`;
const NATIVE_BUS = `arn:aws:events:${place.region}:${place.account}:event-bus/${DEFAULT_BUS}`;
const archiveNamed = (name: string): string => `arn:aws:events:${place.region}:${place.account}:archive/${name}`;
const HOUR_MS = 3_600_000;

/** What the rules got: the event, its replay, and which rules alone. */
let sent: { event: Envelope; only: readonly string[] | undefined }[] = [];
/** The bus holds this many events of each replay. */
let held = 0;
let archive: Archive;
let archives: Archives;
let replays: Replays;
let server: Awaited<ReturnType<typeof awsServer>>;
let client: EventBridgeClient;

beforeAll(async () => {
  const store = memoryStore();
  const scheduler = realScheduler();
  const now = () => new Date().toISOString();
  const listed = listedRules(rules, 'baton', place);
  const bus = {
    async publish(events: readonly Envelope[], options?: { readonly only?: ReadonlySet<string> }) {
      sent.push(...events.map((event) => ({ event, only: options?.only && [...options.only] })));
    },
    pending: () => held,
  };
  archive = memoryArchive(Date.now);
  archives = archivesOver({ store, nowMs: Date.now });
  replays = replaysOver({ store, bus, scheduler, archive, archives, random: Math.random });
  const kept = { place, ownBus: 'baton', archive, archives, now };
  const named = listed.flatMap((rule) =>
    rule.targets.map(({ id }) => ({ name: id, arn: ruleArn(place, rule), isNative: rule.bus === DEFAULT_BUS })),
  );
  server = await awsServer([
    eventBridgeService({
      place,
      buses: [{ name: 'baton', publish: async () => undefined }],
      rules: listed,
      now,
      more: { ...archiveOperations(kept), ...replayOperations({ ...kept, replays, rules: named }) },
    }),
  ]);
  client = new EventBridgeClient({ ...server.client, maxAttempts: 1 });
  archive.append({ ...anEvent(taskCompleted.of({} as never)), id: 'ours', time: ago(HOUR_MS) });
  archive.append({ ...anEcsEvent(), id: 'native', time: ago(HOUR_MS) });
});
afterAll(async () => {
  client.destroy();
  await server.close();
});
beforeEach(() => {
  sent = [];
  held = 0;
});

const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();

let counted = 0;
const asked = (more: Partial<StartReplayCommandInput> = {}): StartReplayCommandInput => ({
  ReplayName: `replay-${++counted}`,
  EventSourceArn: archiveNamed('baton'),
  EventStartTime: new Date(Date.now() - 2 * HOUR_MS),
  // Without what a test before put there as of now.
  EventEndTime: new Date(Date.now() - HOUR_MS / 2),
  Destination: { Arn: BUS },
  ...more,
});

async function replayed(more: Partial<StartReplayCommandInput> = {}) {
  const input = asked(more);
  const started = await client.send(new StartReplayCommand(input));
  expect(started).toMatchObject({ State: 'STARTING', ReplayStartTime: expect.any(Date) });
  const ReplayName = input.ReplayName;
  return eventually(async () => {
    const told = await client.send(new DescribeReplayCommand({ ReplayName }));
    return told.State === 'COMPLETED' ? told : undefined;
  }, 'the end of the replay');
}

describe('the archives of a world', () => {
  it('are there without anybody making them: of its own bus, and of native events', async () => {
    const { Archives = [] } = await client.send(new ListArchivesCommand({}));
    expect(Archives.map(({ ArchiveName, EventSourceArn }) => [ArchiveName, EventSourceArn])).toEqual([
      ['baton', BUS],
      ['baton-native', NATIVE_BUS],
    ]);
    expect(await client.send(new DescribeArchiveCommand({ ArchiveName: 'baton' }))).toMatchObject({
      ArchiveArn: archiveNamed('baton'),
      State: 'ENABLED',
      RetentionDays: 30,
      EventCount: 1,
      SizeBytes: expect.any(Number),
    });
  });

  it('stay as they are', async () => {
    const ArchiveName = 'baton';
    expect(await errorOf(client.send(new DeleteArchiveCommand({ ArchiveName })))).toMatchObject({
      name: 'ValidationException',
    });
    expect(await errorOf(client.send(new UpdateArchiveCommand({ ArchiveName, RetentionDays: 1 })))).toMatchObject({
      name: 'ValidationException',
    });
  });
});

describe('an archive that somebody makes', () => {
  const creation = (more: Partial<CreateArchiveCommandInput> = {}): CreateArchiveCommandInput => ({
    ArchiveName: 'ends',
    EventSourceArn: BUS,
    RetentionDays: 7,
    Description: 'How tasks end.',
    EventPattern: JSON.stringify({ 'detail-type': ['TaskCompleted'] }),
    ...more,
  });

  it('has what comes from now on and fits its pattern; it can be changed and deleted', async () => {
    const made = await client.send(new CreateArchiveCommand(creation()));
    expect(made).toMatchObject({ ArchiveArn: archiveNamed('ends'), State: 'ENABLED', CreationTime: expect.any(Date) });
    const soon = new Date(Date.now() + 1_000).toISOString();
    archive.append({ ...anEvent(taskCompleted.of({} as never)), id: 'later', time: soon });
    archive.append({ ...anEvent(taskCompleted.of({} as never)), id: 'other', 'detail-type': 'TaskFailed', time: soon });
    expect(await client.send(new DescribeArchiveCommand({ ArchiveName: 'ends' }))).toMatchObject({
      EventCount: 1,
      RetentionDays: 7,
      Description: 'How tasks end.',
      EventPattern: '{"detail-type":["TaskCompleted"]}',
      EventSourceArn: BUS,
    });
    expect(await errorOf(client.send(new CreateArchiveCommand(creation())))).toMatchObject({
      name: 'ResourceAlreadyExistsException',
    });
    await client.send(new UpdateArchiveCommand({ ArchiveName: 'ends', RetentionDays: 3 }));
    const { Archives = [] } = await client.send(new ListArchivesCommand({ NamePrefix: 'e' }));
    expect(Archives).toMatchObject([{ ArchiveName: 'ends', RetentionDays: 3 }]);
    await client.send(new DeleteArchiveCommand({ ArchiveName: 'ends' }));
    expect(await errorOf(client.send(new DescribeArchiveCommand({ ArchiveName: 'ends' })))).toMatchObject({
      name: 'ResourceNotFoundException',
    });
  });

  it.each([
    ['of a bus that does not exist', { EventSourceArn: `${BUS}s` }, 'ResourceNotFoundException'],
    ['of no bus', { EventSourceArn: 'baton' }, 'ValidationException'],
    ['by a pattern that is none', { EventPattern: '{"source":"baton"}' }, 'InvalidEventPatternException'],
    ['for longer than tasks are kept', { RetentionDays: 31 }, 'ValidationException'],
    ['for ever', { RetentionDays: 0 }, 'ValidationException'],
    ['under a name with a space', { ArchiveName: 'my archive' }, 'ValidationException'],
    ['under the name of the world’s own', { ArchiveName: 'baton' }, 'ResourceAlreadyExistsException'],
  ])('is refused %s', async (_what, more, name) => {
    expect(
      await errorOf(client.send(new CreateArchiveCommand(creation({ ArchiveName: 'bad', ...more })))),
    ).toMatchObject({
      name,
    });
  });
});

describe('a replay that is asked for as on AWS', () => {
  it('sends what the archive has, by its name, and tells how far it is', async () => {
    const told = await replayed({ Description: 'Once more.' });
    expect(sent.map(({ event, only }) => [event.id, event['replay-name'], only])).toEqual([
      ['ours', told.ReplayName, undefined],
    ]);
    expect(told).toMatchObject({
      ReplayArn: `arn:aws:events:${place.region}:${place.account}:replay/${told.ReplayName}`,
      Description: 'Once more.',
      EventSourceArn: archiveNamed('baton'),
      Destination: { Arn: BUS },
      EventStartTime: expect.any(Date),
      EventEndTime: expect.any(Date),
      EventLastReplayedTime: expect.any(Date),
      ReplayEndTime: expect.any(Date),
    });
  });

  it('of native events goes to the default bus', async () => {
    await replayed({ EventSourceArn: archiveNamed('baton-native'), Destination: { Arn: NATIVE_BUS } });
    expect(sent.map(({ event }) => event.id)).toEqual(['native']);
  });

  it('reaches only the rules whose ARNs it gives, as ListRules gives them', async () => {
    const { Rules = [] } = await client.send(
      new ListRulesCommand({ EventBusName: 'baton', NamePrefix: 'baton-settle' }),
    );
    const FilterArns = Rules.map(({ Arn = '' }) => Arn);
    const told = await replayed({ Destination: { Arn: BUS, FilterArns } });
    expect(sent.map(({ only }) => only)).toEqual([['settle-task']]);
    expect(told.Destination?.FilterArns).toEqual(FilterArns);
  });

  it('is listed, by name, state and archive', async () => {
    const { ReplayName: NamePrefix } = await replayed();
    const { Replays = [] } = await client.send(new ListReplaysCommand({ NamePrefix, State: 'COMPLETED' }));
    expect(Replays).toMatchObject([
      { ReplayName: NamePrefix, State: 'COMPLETED', EventSourceArn: archiveNamed('baton') },
    ]);
    const running = await client.send(new ListReplaysCommand({ NamePrefix, State: 'RUNNING' }));
    expect(running.Replays).toEqual([]);
    const others = await client.send(
      new ListReplaysCommand({ NamePrefix, EventSourceArn: archiveNamed('baton-native') }),
    );
    expect(others.Replays).toEqual([]);
  });

  it('can be cancelled while it runs, and not afterwards', async () => {
    held = 1;
    const { ReplayName } = asked();
    await client.send(new StartReplayCommand(asked({ ReplayName })));
    const told = await client.send(new CancelReplayCommand({ ReplayName }));
    expect(told).toMatchObject({ State: 'CANCELLING', ReplayArn: expect.stringContaining(String(ReplayName)) });
    held = 0;
    await eventually(async () => {
      const { State } = await client.send(new DescribeReplayCommand({ ReplayName }));
      return State === 'CANCELLED' ? State : undefined;
    }, 'the end of the replay');
    expect(await errorOf(client.send(new CancelReplayCommand({ ReplayName })))).toMatchObject({
      name: 'IllegalStatusException',
    });
  });

  it('is one of ten at the most', async () => {
    held = 1;
    const names = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const { ReplayName } = asked();
        await client.send(new StartReplayCommand(asked({ ReplayName })));
        return ReplayName;
      }),
    );
    expect(await errorOf(client.send(new StartReplayCommand(asked())))).toMatchObject({
      name: 'LimitExceededException',
      message: expect.stringContaining('10 replays are under way'),
    });
    held = 0;
    for (const ReplayName of names)
      await eventually(async () => {
        const { State } = await client.send(new DescribeReplayCommand({ ReplayName }));
        return State === 'COMPLETED' ? State : undefined;
      }, 'the end of the replay');
  });

  it('has a name of its own', async () => {
    const { ReplayName } = await replayed();
    expect(await errorOf(client.send(new StartReplayCommand(asked({ ReplayName }))))).toMatchObject({
      name: 'ResourceAlreadyExistsException',
    });
  });

  it.each<[string, Partial<StartReplayCommandInput>, string, string]>([
    [
      'of an archive that does not exist',
      { EventSourceArn: archiveNamed('none') },
      'ResourceNotFoundException',
      'none',
    ],
    ['of no archive', { EventSourceArn: BUS }, 'ValidationException', 'EventSourceArn'],
    ['to another bus', { Destination: { Arn: NATIVE_BUS } }, 'ValidationException', 'Destination.Arn'],
    ['that ends before it begins', { EventEndTime: new Date(0) }, 'ValidationException', 'EventEndTime'],
    [
      'to a rule that does not exist',
      { Destination: { Arn: BUS, FilterArns: [`${BUS}/none`] } },
      'ValidationException',
      'FilterArns',
    ],
    ['under a name with a space', { ReplayName: 'my replay' }, 'ValidationException', 'ReplayName'],
  ])('is refused %s', async (_what, more, name, message) => {
    expect(await errorOf(client.send(new StartReplayCommand(asked(more))))).toMatchObject({
      name,
      message: expect.stringContaining(message),
    });
  });

  it('that nobody started is not found', async () => {
    for (const command of [
      new DescribeReplayCommand({ ReplayName: 'none' }),
      new CancelReplayCommand({ ReplayName: 'none' }),
    ])
      expect(await errorOf(client.send(command as DescribeReplayCommand))).toMatchObject({
        name: 'ResourceNotFoundException',
      });
  });
});

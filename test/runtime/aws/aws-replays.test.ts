import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { afterEach, describe, expect, it } from '@jest/globals';
import { rules } from '../../../rules/index.ts';
import { awsReplays } from '../../../runtime/aws/aws-replays.ts';
import { refused } from '../../../runtime/endpoint/aws/aws-error.ts';
import { eventBridgeService } from '../../../runtime/endpoint/aws/eventbridge.ts';
import { isReplayOver, type ReplayState } from '../../../schemas/replay.ts';
import { awsServer, place } from '../endpoint/aws/aws-server.ts';

type Answers = Readonly<Record<string, (input: Readonly<Record<string, unknown>>) => Promise<object>>>;

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** An account in which replays stand as told; `archives` are those that it has. */
async function account(
  archives: readonly string[],
  states: Record<string, ReplayState> = {},
  reasons: Record<string, string> = {},
  limited: readonly string[] = ['too-many'],
) {
  const asked: { call: string; input: Readonly<Record<string, unknown>> }[] = [];
  const arn = (resource: string) => `arn:aws:events:eu-west-1:000000000000:${resource}`;
  const told: Answers = {
    async DescribeArchive({ ArchiveName: name }) {
      if (name === 'baton-test-native' && archives.includes('closed'))
        throw refused('AccessDeniedException', 'is not authorized to perform: events:DescribeArchive');
      if (!archives.includes(String(name)))
        throw refused('ResourceNotFoundException', `Archive ${name} does not exist.`);
      const bus = String(name).endsWith('-native') ? 'default' : 'baton-test';
      return { ArchiveArn: arn(`archive/${name}`), EventSourceArn: arn(`event-bus/${bus}`) };
    },
    async StartReplay(input) {
      asked.push({ call: 'StartReplay', input });
      const name = String(input['ReplayName']);
      if (name in states) throw refused('ResourceAlreadyExistsException', `Replay ${name} already exists.`);
      if (limited.includes(name)) throw refused('LimitExceededException', 'Ten are under way.');
      states[name] = 'RUNNING';
      return { State: 'STARTING' };
    },
    async DescribeReplay({ ReplayName: name }) {
      const State = states[String(name)];
      if (!State) throw refused('ResourceNotFoundException', `Replay ${name} does not exist.`);
      return {
        State,
        StateReason: reasons[String(name)],
        EventStartTime: 1_700_000_000,
        EventEndTime: 1_700_003_600,
        ReplayStartTime: 1_700_010_000,
        ...(isReplayOver({ state: State }) ? { ReplayEndTime: 1_700_010_060 } : {}),
      };
    },
    async CancelReplay({ ReplayName: name }) {
      asked.push({ call: 'CancelReplay', input: { name } });
      states[String(name)] = 'CANCELLING';
      return {};
    },
  };
  const now = () => new Date().toISOString();
  const server = await awsServer([eventBridgeService({ place, buses: [], rules: [], now, more: told })]);
  undo.push(() => server.close());
  const client = new EventBridgeClient({ ...server.client, maxAttempts: 1 });
  undo.push(() => client.destroy());
  return { asked, states, desk: awsReplays({ client, prefix: 'baton-test', rules }) };
}

const BOTH = ['baton-test', 'baton-test-native'];
const WANTED = { name: 'friday', from: '2026-11-20T00:00:00.000Z', to: '2026-11-21T00:00:00.000Z' };

describe('a replay of a deployment', () => {
  it('is one of each archive, each to the bus of its own', async () => {
    const { asked, desk } = await account(BOTH);
    expect(await desk.start(WANTED)).toMatchObject({ name: 'friday', state: 'RUNNING' });
    expect(asked.map(({ input }) => [input['ReplayName'], input['Destination']])).toEqual([
      ['friday', { Arn: expect.stringMatching(/:event-bus\/baton-test$/) }],
      ['friday-native', { Arn: expect.stringMatching(/:event-bus\/default$/) }],
    ]);
    expect(asked[0]?.input['EventStartTime']).toBe(Date.parse(WANTED.from) / 1000);
  });

  it('is of the own bus alone where no back end has native events', async () => {
    const { asked, desk } = await account(['baton-test']);
    await desk.start(WANTED);
    expect(asked.map(({ input }) => input['ReplayName'])).toEqual(['friday']);
  });

  it('to some rules goes to these, by the ARNs of their bus, and leaves an archive that none of them hears', async () => {
    const { asked, desk } = await account(BOTH);
    await desk.start({ ...WANTED, name: 'own', rules: ['settle-task'] });
    await desk.start({ ...WANTED, name: 'mixed', rules: ['settle-task', 'observe-ecs-task'] });
    expect(
      asked.map(({ input }) => [input['ReplayName'], (input['Destination'] as { FilterArns: string[] }).FilterArns]),
    ).toEqual([
      ['own', ['arn:aws:events:eu-west-1:000000000000:rule/baton-test/baton-test-settle-task']],
      ['mixed', ['arn:aws:events:eu-west-1:000000000000:rule/baton-test/baton-test-settle-task']],
      ['mixed-native', ['arn:aws:events:eu-west-1:000000000000:rule/baton-test-observe-ecs-task']],
    ]);
  });

  it.each<[ReplayState, ReplayState, ReplayState]>([
    ['COMPLETED', 'COMPLETED', 'COMPLETED'],
    ['COMPLETED', 'RUNNING', 'RUNNING'],
    ['STARTING', 'COMPLETED', 'STARTING'],
    ['COMPLETED', 'CANCELLED', 'CANCELLED'],
    ['CANCELLING', 'COMPLETED', 'CANCELLING'],
    ['RUNNING', 'FAILED', 'FAILED'],
  ])('whose parts are %s and %s is %s', async (own, native, state) => {
    const { desk } = await account(BOTH, { friday: own, 'friday-native': native }, { 'friday-native': 'why' });
    const view = await desk.view('friday');
    expect(view).toMatchObject({ name: 'friday', state, from: '2023-11-14T22:13:20.000Z' });
    expect(view.endedAt !== undefined).toBe(isReplayOver({ state }));
    expect(view.reason).toBe(state === 'FAILED' ? 'why' : undefined);
  });

  it('is cancelled where it is not over', async () => {
    const { asked, desk } = await account(BOTH, { friday: 'COMPLETED', 'friday-native': 'RUNNING' });
    expect(await desk.cancel('friday')).toMatchObject({ state: 'CANCELLING' });
    expect(asked).toEqual([{ call: 'CancelReplay', input: { name: 'friday-native' } }]);
  });

  it.each([
    ['a name that was used', { name: 'used' }, 'replay_exists'],
    ['one too many', { name: 'too-many' }, 'replay_refused'],
    ['a rule that only hears the alarm clock', { rules: ['wake-task'] }, 'replay_refused'],
    ['a rule that does not exist', { rules: ['settle'] }, 'bad_input'],
    ['a time that is none', { from: 'yesterday' }, 'bad_input'],
  ])('is refused for %s', async (_what, more, code) => {
    const { desk } = await account(BOTH, { used: 'COMPLETED' });
    await expect(desk.start({ ...WANTED, ...more })).rejects.toMatchObject({ code });
  });

  it.each([
    ['whose name has no room for the second part', BOTH, {}, { name: 'x'.repeat(58) }, 'bad_input'],
    ['of which the second part was made before', BOTH, { 'friday-native': 'COMPLETED' }, {}, 'replay_exists'],
    ['of whose second archive nothing may be known', ['baton-test', 'closed'], {}, {}, 'service_denied'],
    ['whose own archive is not there', ['baton-test-native'], {}, {}, 'service_refused'],
  ] as const)('%s is refused before anything starts', async (_what, archives, states, more, code) => {
    const { asked, desk } = await account(archives, { ...states } as Record<string, ReplayState>);
    await expect(desk.start({ ...WANTED, ...more })).rejects.toMatchObject({ code });
    expect(asked).toEqual([]);
  });

  it('has a name as long as both parts allow', async () => {
    const { desk } = await account(BOTH);
    expect(await desk.start({ ...WANTED, name: 'x'.repeat(57) })).toMatchObject({ state: 'RUNNING' });
  });

  it('whose second part is refused is cancelled, and says so', async () => {
    const { asked, desk } = await account(BOTH, {}, {}, ['friday-native']);
    await expect(desk.start(WANTED)).rejects.toMatchObject({
      code: 'replay_refused',
      message: expect.stringMatching(/Ten are under way\..*"friday", which had begun, was cancelled/),
    });
    expect(asked.map(({ call, input }) => [call, input['ReplayName'] ?? input['name']])).toEqual([
      ['StartReplay', 'friday'],
      ['StartReplay', 'friday-native'],
      ['CancelReplay', 'friday'],
    ]);
  });

  it('of a deployment that is not there says so', async () => {
    const { desk } = await account([]);
    await expect(desk.start(WANTED)).rejects.toMatchObject({
      code: 'service_refused',
      remedy: expect.stringContaining('stage'),
    });
    await expect(desk.view('friday')).rejects.toMatchObject({ code: 'unknown_replay' });
  });
});

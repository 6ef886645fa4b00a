import {
  CancelReplayCommand,
  DescribeArchiveCommand,
  type DescribeArchiveCommandOutput,
  DescribeReplayCommand,
  type DescribeReplayCommandOutput,
  type EventBridgeClient,
  StartReplayCommand,
} from '@aws-sdk/client-eventbridge';
import { alarmRang } from '../../events/alarm-rang.ts';
import type { Rule } from '../../rules/rule.ts';
import { archiveNamesOf } from '../../schemas/archive-names.ts';
import { queueNamesOf } from '../../schemas/queue-names.ts';
import {
  isReplayOver,
  REPLAY_NAME_MAX,
  type ReplayRequest,
  type ReplayState,
  type ReplayView,
  replayRequest,
} from '../../schemas/replay.ts';
import { inputOf } from '../endpoint/input.ts';
import type { ReplayDesk } from '../endpoint/replay-desk.ts';
import { assertRules } from '../endpoint/replay-desk.ts';
import { BatonError } from '../errors.ts';
import { sdkError, serviceError } from './sdk-errors.ts';

export interface AwsReplaysOver {
  readonly client: EventBridgeClient;
  /** What the names of the deployment begin with. */
  readonly prefix: string;
  readonly rules: readonly Rule[];
}

/** One archive of the deployment, and its part of a replay. */
interface Part {
  readonly archive: string;
  readonly replay: string;
  /** Whether a rule hears this archive's events. */
  hears(rule: Rule): boolean;
}

/** A part whose archive is there, and the rules that it is for; without them, all. */
interface ReadyPart extends Pick<Part, 'replay'> {
  readonly found: DescribeArchiveCommandOutput;
  readonly wanted: readonly Rule[] | undefined;
}

const NATIVE_SUFFIX = '-native';
/** Both parts must have names that EventBridge takes. */
const NAME_MAX = REPLAY_NAME_MAX - NATIVE_SUFFIX.length;

/**
 * Replays of a deployment. A replay goes to one bus only, so one of ours is two of EventBridge: of the own bus under its name, and of
 * native events under its name and `-native`.
 */
export function awsReplays({ client, prefix, rules }: AwsReplaysOver): ReplayDesk {
  const names = archiveNamesOf(prefix);
  const ofRule = queueNamesOf(prefix).ofRule;
  const hearsNative = ({ on }: Rule): boolean => on.some((event) => 'native' in event);
  // The alarm clock rings past the bus: no rule of EventBridge is called so.
  const hearsAlarms = ({ on }: Rule): boolean => on.every(({ source }) => source === alarmRang.source);
  const parts = (name: string): Part[] => [
    { archive: names.own, replay: name, hears: (rule) => !hearsNative(rule) && !hearsAlarms(rule) },
    { archive: names.native, replay: name + NATIVE_SUFFIX, hears: hearsNative },
  ];

  return {
    async start(given) {
      const request = inputOf(replayRequest, given, 'the replay');
      assertRules(
        request.rules ?? [],
        rules.map(({ name }) => name),
      );
      const ready = await readied(request);
      for (const [index, part] of ready.entries()) {
        try {
          await startPart(part, request);
        } catch (error) {
          throw await undone(ready.slice(0, index), error);
        }
      }
      return view(request.name, request.rules);
    },

    view: (name) => view(name),

    async cancel(name) {
      for (const { replay } of parts(name)) {
        const told = await described(replay);
        if (told && !isReplayOver({ state: stateOf(told) })) await cancelPart(replay);
      }
      return view(name);
    },
  };

  /** Looks at everything before the first part starts: a name is used up for ever, and half a replay repairs half. */
  async function readied(request: ReplayRequest): Promise<ReadyPart[]> {
    const { name } = request;
    if (name.length > NAME_MAX)
      throw new BatonError(
        'bad_input',
        `the replay: name: at most ${NAME_MAX} characters, because "${NATIVE_SUFFIX}" is added to it`,
      );
    const ready: ReadyPart[] = [];
    for (const { archive, replay, hears } of parts(name)) {
      const wanted = request.rules && rules.filter((rule) => request.rules?.includes(rule.name) && hears(rule));
      // No filter would mean all rules.
      if (wanted?.length === 0) continue;
      const found = await archiveNamed(archive);
      if (!found) continue;
      const before = await described(replay);
      if (before) throw wasBefore(replay);
      ready.push({ replay, found, wanted });
    }
    if (ready.length > 0) return ready;
    throw new BatonError('replay_refused', 'The replay is refused: no archive has what these rules hear.');
  }

  async function startPart({ replay, found, wanted }: ReadyPart, request: ReplayRequest): Promise<void> {
    const { ArchiveArn, EventSourceArn: bus = '' } = found;
    try {
      await client.send(
        new StartReplayCommand({
          ReplayName: replay,
          EventSourceArn: ArchiveArn,
          EventStartTime: new Date(request.from),
          EventEndTime: new Date(request.to),
          Destination: { Arn: bus, ...(wanted ? { FilterArns: wanted.map(({ name }) => ruleArn(bus, name)) } : {}) },
        }),
      );
    } catch (error) {
      const { name, message } = sdkError(error);
      if (name === 'ResourceAlreadyExistsException') throw wasBefore(replay, error);
      if (name === 'ValidationException' || name === 'LimitExceededException')
        throw new BatonError('replay_refused', `The replay is refused: ${message}`, { cause: error });
      throw serviceError('EventBridge StartReplay', error);
    }
  }

  /** What did start is cancelled, and the error says so; where that fails too, it says what goes on. */
  async function undone(started: readonly ReadyPart[], error: unknown): Promise<unknown> {
    if (started.length === 0 || !(error instanceof BatonError)) return error;
    const told: string[] = [];
    for (const { replay } of started) {
      try {
        await cancelPart(replay);
        told.push(`"${replay}", which had begun, was cancelled`);
      } catch (also) {
        told.push(
          `"${replay}" goes on, because it could not be cancelled: ${also instanceof Error ? also.message : also}`,
        );
      }
    }
    const { code, message, remedy } = error;
    return new BatonError(code, `${message} Its other part ${told.join('; ')}.`, { cause: error, remedy });
  }

  /**
   * Without a back end that has native events there is no archive of them. Where the asker may not look, that is not known, and leaving the
   * part out would be half a replay that looks like a whole one: the operator policy allows it by name, whether the archive is there or not.
   */
  async function archiveNamed(ArchiveName: string) {
    try {
      return await client.send(new DescribeArchiveCommand({ ArchiveName }));
    } catch (error) {
      if (ArchiveName === names.native && sdkError(error).name === 'ResourceNotFoundException') return undefined;
      throw serviceError('EventBridge DescribeArchive', error);
    }
  }

  /** As EventBridge writes it: rules of the default bus do not name it. */
  function ruleArn(busArn: string, rule: string): string {
    const [place = '', bus = ''] = busArn.split(':event-bus/');
    return `${place}:rule/${bus === 'default' ? '' : `${bus}/`}${ofRule(rule)}`;
  }

  async function cancelPart(ReplayName: string): Promise<void> {
    try {
      await client.send(new CancelReplayCommand({ ReplayName }));
    } catch (error) {
      // It ended meanwhile.
      if (sdkError(error).name !== 'IllegalStatusException') throw serviceError('EventBridge CancelReplay', error);
    }
  }

  async function view(name: string, asked?: readonly string[]): Promise<ReplayView> {
    const told = (await Promise.all(parts(name).map(({ replay }) => described(replay)))).flatMap((one) => one ?? []);
    const [first] = told;
    if (!first) throw new BatonError('unknown_replay', `There is no replay "${name}" in this account and region.`);
    const state = joint(told.map(stateOf));
    const reason = told.find((one) => one.State === 'FAILED')?.StateReason;
    const ended = latest(told.map(({ ReplayEndTime }) => ReplayEndTime));
    const seen = latest(told.map(({ EventLastReplayedTime }) => EventLastReplayedTime));
    return {
      name,
      from: instantOf(first.EventStartTime),
      to: instantOf(first.EventEndTime),
      ...(asked ? { rules: [...asked] } : {}),
      state,
      ...(reason === undefined ? {} : { reason }),
      startedAt: instantOf(first.ReplayStartTime),
      ...(ended && isReplayOver({ state }) ? { endedAt: ended } : {}),
      ...(seen ? { lastReplayedAt: seen } : {}),
    };
  }

  async function described(ReplayName: string): Promise<DescribeReplayCommandOutput | undefined> {
    try {
      return await client.send(new DescribeReplayCommand({ ReplayName }));
    } catch (error) {
      if (sdkError(error).name === 'ResourceNotFoundException') return undefined;
      throw serviceError('EventBridge DescribeReplay', error);
    }
  }
}

const wasBefore = (replay: string, cause?: unknown): BatonError =>
  new BatonError('replay_exists', `There was a replay "${replay}" before.`, { cause });

/** One that failed makes the whole fail; otherwise it is over when each part is. */
function joint(states: readonly ReplayState[]): ReplayState {
  const order: readonly ReplayState[] = ['FAILED', 'CANCELLING', 'RUNNING', 'STARTING', 'CANCELLED', 'COMPLETED'];
  return order.find((state) => states.includes(state)) ?? 'STARTING';
}

const stateOf = ({ State = 'STARTING' }: DescribeReplayCommandOutput): ReplayState => State;

const instantOf = (time: Date | undefined): string => (time ?? new Date(0)).toISOString();

const latest = (times: readonly (Date | undefined)[]): string | undefined =>
  times
    .flatMap((time) => (time ? [time.toISOString()] : []))
    .sort()
    .at(-1);

import * as z from 'zod';
import { replayName } from '../../../schemas/replay.ts';
import { type NamedArchive, OWN_ARCHIVE } from '../../engine/archives.ts';
import { type Replays, type StoredReplay, TooManyReplays } from '../../engine/replay.ts';
import { BatonError } from '../../errors.ts';
import { type ArchiveParts, archiveArn, archiveOf, busArnOf, secondsOf } from './archive-operations.ts';
import { refused } from './aws-error.ts';
import { type Operation, pageOf, parsedInput } from './aws-service.ts';

export interface ReplayParts extends ArchiveParts {
  readonly replays: Replays;
  /** Rules of the world, and the ARNs by which each is listed: one for each bus on which it hears something. */
  readonly rules: readonly { readonly name: string; readonly arn: string; readonly isNative: boolean }[];
}

const text = z.string();
const seconds = z.number();
const start = z.looseObject({
  ReplayName: replayName,
  Description: text.max(512).optional(),
  EventSourceArn: text,
  EventStartTime: seconds,
  EventEndTime: seconds,
  Destination: z.looseObject({ Arn: text, FilterArns: z.array(text).optional() }),
});
const naming = z.looseObject({ ReplayName: replayName });
const listing = z.looseObject({
  NamePrefix: text.optional(),
  State: text.optional(),
  EventSourceArn: text.optional(),
  Limit: z.int().min(1).max(100).optional(),
  NextToken: text.optional(),
});

/** Replays, as EventBridge makes them (API reference, StartReplay and its neighbours). */
export function replayOperations(parts: ReplayParts): Record<string, Operation> {
  const { replays, place } = parts;
  return {
    async StartReplay(input) {
      const asked = parsedInput(start, input);
      const archive = await archiveOf(parts, archiveNameIn(asked.EventSourceArn));
      if (asked.Destination.Arn !== busArnOf(parts, archive))
        throw invalid('Destination.Arn', 'Cross event bus replay is not permitted.');
      const from = timeOf('EventStartTime', asked.EventStartTime);
      const to = timeOf('EventEndTime', asked.EventEndTime);
      if (from >= to) throw invalid('EventEndTime', 'EventStartTime must be before EventEndTime.');
      const rules = rulesOf(asked.Destination.FilterArns, archive);
      const replay = await asAws(() =>
        replays.start({
          name: asked.ReplayName,
          from,
          to,
          archive: archive.name,
          ...(rules === undefined ? {} : { rules }),
          ...(asked.Description === undefined ? {} : { description: asked.Description }),
        }),
      );
      return { ...stateOf(replay), ReplayStartTime: secondsOf(replay.startedAt) };
    },

    async DescribeReplay(input) {
      const replay = await asAws(() => replays.get(parsedInput(naming, input).ReplayName));
      const archive = await parts.archives.get(replay.archive ?? OWN_ARCHIVE);
      return {
        ...shown(replay),
        ReplayArn: replayArn(replay.name),
        ...(replay.description === undefined ? {} : { Description: replay.description }),
        ...(archive === undefined
          ? {}
          : { Destination: { Arn: busArnOf(parts, archive), FilterArns: arnsOf(replay, archive) } }),
      };
    },

    async ListReplays(input) {
      const { NamePrefix = '', State, EventSourceArn, Limit, NextToken } = parsedInput(listing, input);
      const found = (await replays.list()).filter(
        (replay) =>
          replay.name.startsWith(NamePrefix) &&
          (State === undefined || replay.state === State) &&
          (EventSourceArn === undefined || sourceOf(replay) === EventSourceArn),
      );
      const { page, next } = pageOf(found, Limit, NextToken);
      return { Replays: page.map(shown), ...next };
    },

    async CancelReplay(input) {
      const { ReplayName } = parsedInput(naming, input);
      return stateOf(await asAws(() => replays.cancel(ReplayName), 'IllegalStatusException'));
    },
  };

  /** A rule of another bus than the archive's hears nothing of it. */
  function rulesOf(arns: readonly string[] | undefined, { of }: NamedArchive): string[] | undefined {
    if (arns === undefined || arns.length === 0) return undefined;
    return arns.flatMap((arn) => {
      const found = parts.rules.find((rule) => rule.arn === arn);
      if (found) return found.isNative === (of === 'native') ? [found.name] : [];
      throw invalid('Destination.FilterArns', `There is no rule ${arn}.`);
    });
  }

  function arnsOf({ rules = [] }: StoredReplay, { of }: NamedArchive): string[] {
    return parts.rules
      .filter(({ name, isNative }) => rules.includes(name) && isNative === (of === 'native'))
      .map(({ arn }) => arn);
  }

  function replayArn(name: string): string {
    return `arn:aws:events:${place.region}:${place.account}:replay/${name}`;
  }

  function sourceOf({ archive = OWN_ARCHIVE }: StoredReplay): string {
    return archiveArn(place, archive);
  }

  function stateOf({ name, state, reason }: StoredReplay): object {
    return { ReplayArn: replayArn(name), State: state, ...(reason === undefined ? {} : { StateReason: reason }) };
  }

  function shown(replay: StoredReplay): object {
    const { name, state, reason, from, to, startedAt, endedAt, lastReplayedAt } = replay;
    return {
      ReplayName: name,
      EventSourceArn: sourceOf(replay),
      State: state,
      ...(reason === undefined ? {} : { StateReason: reason }),
      EventStartTime: secondsOf(from),
      EventEndTime: secondsOf(to),
      ReplayStartTime: secondsOf(startedAt),
      ...(endedAt === undefined ? {} : { ReplayEndTime: secondsOf(endedAt) }),
      ...(lastReplayedAt === undefined ? {} : { EventLastReplayedTime: secondsOf(lastReplayedAt) }),
    };
  }
}

function archiveNameIn(arn: string): string {
  const [, name] = /^arn:[^:]*:events:[^:]*:[^:]*:archive\/(.+)$/.exec(arn) ?? [];
  if (name !== undefined) return name;
  throw invalid('EventSourceArn', 'Provided Arn is not in correct format.');
}

function timeOf(parameter: string, given: number): string {
  const time = new Date(given * 1_000);
  if (Number.isNaN(time.getTime())) throw invalid(parameter, 'It is no time in seconds since the epoch.');
  return time.toISOString();
}

/** What the world says no to, in AWS's codes. */
async function asAws<Answer>(work: () => Promise<Answer>, refusal = 'ValidationException'): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    if (error instanceof TooManyReplays) throw refused('LimitExceededException', error.message);
    switch (error.code) {
      case 'replay_exists':
        throw refused('ResourceAlreadyExistsException', error.message);
      case 'unknown_replay':
        throw refused('ResourceNotFoundException', error.message);
      case 'replay_refused':
        throw refused(refusal, error.message);
      default:
        throw error;
    }
  }
}

const invalid = (parameter: string, why: string) =>
  refused('ValidationException', `Parameter ${parameter} is not valid. Reason: ${why}`);

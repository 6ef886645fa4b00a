import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import type { Envelope } from '../../../schemas/envelope.ts';
import { refused } from './aws-error.ts';
import { type Operation, type Place, parsedInput } from './aws-service.ts';

/** Entries of one call (EventBridge API reference, PutEvents). */
export const ENTRIES_MAX = 10;
/** All entries of a call together, in bytes as AWS counts them, must stay below (user guide, "Calculating PutEvents event entry size"). */
export const ENTRIES_BYTES_BELOW = 1024 * 1024;
/** What a time counts, in bytes (same place). */
const TIME_BYTES = 14;
/** Longest detail-type in characters. */
const DETAIL_TYPE_MAX = 128;
/** Deepest nesting of a detail. */
const DETAIL_DEPTH_MAX = 1_000;

/** A bus that takes events. */
export interface TakingBus {
  readonly name: string;
  /** Resolves when the events are kept. What is thrown fails their entries, and the client sends them again. */
  publish(events: readonly Envelope[]): Promise<void>;
  /** A source that the policy of the bus reserves for others. */
  refuses?(source: string): boolean;
}

export interface PutEventsParts {
  readonly place: Place;
  readonly buses: readonly TakingBus[];
  /** Now, as `Date.toISOString` writes it. */
  now(): string;
  /** Told of events that are lost, as AWS does not tell. */
  readonly warn?: (message: string, error: unknown) => void;
}

const entry = z.looseObject({
  Time: z.number().refine(isTime, 'is no time in seconds since the epoch').optional(),
  Source: z.string().optional(),
  Resources: z.array(z.string()).optional(),
  DetailType: z.string().optional(),
  Detail: z.string().optional(),
  EventBusName: z.string().optional(),
});
type Entry = z.infer<typeof entry>;

/** Beyond some 270,000 years from the epoch there is no date. */
function isTime(seconds: number): boolean {
  return !Number.isNaN(new Date(seconds * 1_000).getTime());
}

type Result = { readonly EventId: string } | { readonly ErrorCode: string; readonly ErrorMessage: string };

/** PutEvents: an answer for every entry, at its own index; an entry that fails keeps no other from being taken. */
export function putEvents({ place, buses, now, warn }: PutEventsParts): Operation {
  return async (input) => {
    const { Entries: entries } = parsedInput(z.looseObject({ Entries: z.array(entry) }), input);
    assertCall(entries);
    const results = new Map<number, Result>();
    const taken = new Map<string, { index: number; event: Envelope }[]>();
    for (const [index, one] of entries.entries()) {
      const name = busNameOf(one.EventBusName);
      const bus = buses.find((known) => known.name === name);
      const wrong = whyRefused(one, bus);
      if (wrong) results.set(index, wrong);
      else taken.set(name, [...(taken.get(name) ?? []), { index, event: eventOf(one, place, now()) }]);
    }
    for (const [name, put] of taken) {
      const failed = await published(
        name,
        put.map(({ event }) => event),
      );
      for (const { index, event } of put) results.set(index, failed ?? { EventId: event.id });
    }
    const all = entries.flatMap((_entry, index) => results.get(index) ?? []);
    return { FailedEntryCount: all.filter((result) => 'ErrorCode' in result).length, Entries: all };
  };

  async function published(name: string, events: readonly Envelope[]): Promise<Result | undefined> {
    const bus = buses.find((known) => known.name === name);
    if (!bus) {
      const types = events.map((event) => event['detail-type']).join(', ');
      warn?.(`${events.length} events were put on the event bus "${name}", which does not exist; they are lost`, types);
      return undefined;
    }
    try {
      await bus.publish(events);
      return undefined;
    } catch (error) {
      warn?.(`the event bus "${name}" did not take ${events.length} events`, error);
      return failure('InternalFailure', error instanceof Error ? error.message : String(error));
    }
  }
}

/** A bus by its name or its ARN; none is the default one. */
export const busNameOf = (nameOrArn: string | undefined): string =>
  (nameOrArn ?? 'default').replace(/^arn:[^:]*:events:[^:]*:[^:]*:event-bus\//, '');

/** Throws what fails the call as a whole. */
function assertCall(entries: readonly Entry[]): void {
  const isTooMany = entries.length > ENTRIES_MAX;
  if (isTooMany || entries.length === 0) {
    const bound = isTooMany ? `less than or equal to ${ENTRIES_MAX}` : 'greater than or equal to 1';
    throw refused(
      'ValidationException',
      `1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length ${bound}`,
    );
  }
  const bytes = entries.reduce((sum, one) => sum + bytesOf(one), 0);
  if (bytes >= ENTRIES_BYTES_BELOW) {
    throw refused('ValidationException', 'Total size of the entries in the request is over the limit.');
  }
  const missing = entries.map(missingIn);
  if (missing.every((name) => name !== undefined))
    throw refused('ValidationException', requiredWords(missing[0] ?? ''));
}

function whyRefused(one: Entry, bus: TakingBus | undefined): Result | undefined {
  const missing = missingIn(one);
  const { Source: source = '', DetailType: type = '', Detail: detail = '' } = one;
  if (missing !== undefined) return failure('InvalidArgument', requiredWords(missing));
  if (type.length > DETAIL_TYPE_MAX) {
    return failure(
      'InvalidArgument',
      `Parameter DetailType is not valid. Reason: Provided argument is longer than ${DETAIL_TYPE_MAX} characters.`,
    );
  }
  if (source.startsWith('aws.')) return failure('NotAuthorizedForSourceException', 'Not authorized for the source.');
  if (bus?.refuses?.(source)) {
    return failure(
      'NotAuthorizedForSourceException',
      `You do not have permissions to publish events with the source "${source}" onto this event bus.`,
    );
  }
  return isDetail(detail) ? undefined : failure('MalformedDetail', 'Detail is malformed.');
}

const failure = (ErrorCode: string, ErrorMessage: string): Result => ({ ErrorCode, ErrorMessage });

const missingIn = (one: Entry): string | undefined =>
  (['Source', 'DetailType', 'Detail'] as const).find((name) => !one[name]);

const requiredWords = (name: string): string =>
  `Parameter ${name} is not valid. Reason: ${name} is a required argument.`;

function bytesOf({ Time, Source = '', DetailType = '', Detail = '', Resources = [] }: Entry): number {
  const texts = [Source, DetailType, Detail, ...Resources];
  return (Time === undefined ? 0 : TIME_BYTES) + texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

function isDetail(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) && isWithinDepth(value);
  } catch {
    return false;
  }
}

/** Level by level, so that the depth is no danger to the stack. */
function isWithinDepth(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DETAIL_DEPTH_MAX) return false;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
  }
  return true;
}

/** What the targets get: with an id of its own, and the time in whole seconds, as AWS writes it. */
function eventOf(one: Entry, { account, region }: Place, now: string): Envelope {
  const at = one.Time === undefined ? new Date(now) : new Date(one.Time * 1_000);
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': one.DetailType ?? '',
    source: one.Source ?? '',
    account,
    time: at.toISOString().replace(/\.\d+Z$/, 'Z'),
    region,
    resources: one.Resources ?? [],
    detail: JSON.parse(one.Detail ?? '{}'),
  };
}

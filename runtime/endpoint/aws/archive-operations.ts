import * as z from 'zod';
import type { EventPattern } from '../../../rules/event-pattern.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import type { Archive } from '../../engine/archive.ts';
import { ARCHIVE_RETENTION_D } from '../../engine/archive.ts';
import { ARCHIVES_MAX, type Archives, isBuiltIn, type NamedArchive } from '../../engine/archives.ts';
import { whyInvalid } from '../../pattern-validity.ts';
import { refused } from './aws-error.ts';
import { type Operation, type Place, pageOf, parsedInput } from './aws-service.ts';
import { DEFAULT_BUS } from './listed-rules.ts';

export interface ArchiveParts {
  readonly place: Place;
  /** Name of the bus that is not the default one. */
  readonly ownBus: string;
  readonly archives: Archives;
  readonly archive: Pick<Archive, 'slices'>;
  /** Now, as `Date.toISOString` writes it. */
  now(): string;
}

const text = z.string();
/** API reference, CreateArchive. */
const archiveName = text
  .min(1)
  .max(48)
  .regex(/^[.\-_A-Za-z0-9]+$/);
const changes = {
  Description: text.max(512).optional(),
  EventPattern: text.optional(),
  RetentionDays: z.int().min(0).optional(),
};
const creation = z.looseObject({ ArchiveName: archiveName, EventSourceArn: text, ...changes });
const change = z.looseObject({ ArchiveName: archiveName, ...changes });
const naming = z.looseObject({ ArchiveName: archiveName });
const listing = z.looseObject({
  NamePrefix: text.optional(),
  EventSourceArn: text.optional(),
  State: text.optional(),
  Limit: z.int().min(1).max(100).optional(),
  NextToken: text.optional(),
});

/** Archives, as EventBridge has them: views of what the world keeps anyway, so none can keep longer than the world does. */
export function archiveOperations(parts: ArchiveParts): Record<string, Operation> {
  const { archives, place, now } = parts;
  return {
    async CreateArchive(input) {
      const asked = parsedInput(creation, input);
      const archive: NamedArchive = {
        name: asked.ArchiveName,
        of: sourceOf(parts, asked.EventSourceArn),
        retentionDays: retentionOf(asked.RetentionDays),
        madeAt: now(),
        ...changesIn(asked),
      };
      if ((await archives.list()).length >= ARCHIVES_MAX)
        throw refused('LimitExceededException', `There are ${ARCHIVES_MAX} archives, and there may be no more.`);
      if (!(await archives.make(archive)))
        throw refused('ResourceAlreadyExistsException', `Archive ${archive.name} already exists.`);
      return { ...stateOf(place, archive), CreationTime: secondsOf(archive.madeAt) };
    },

    async UpdateArchive(input) {
      const asked = parsedInput(change, input);
      const known = await archiveOf(parts, asked.ArchiveName);
      assertOwn(known);
      const changed: NamedArchive = {
        ...known,
        ...changesIn(asked),
        ...(asked.RetentionDays === undefined ? {} : { retentionDays: retentionOf(asked.RetentionDays) }),
      };
      await archives.change(changed);
      return { ...stateOf(place, changed), CreationTime: secondsOf(known.madeAt) };
    },

    async DeleteArchive(input) {
      const known = await archiveOf(parts, parsedInput(naming, input).ArchiveName);
      assertOwn(known);
      await archives.delete(known.name);
      return {};
    },

    async DescribeArchive(input) {
      const archive = await archiveOf(parts, parsedInput(naming, input).ArchiveName);
      const { description, pattern } = archive;
      return {
        ...shownArchive(parts, archive),
        ArchiveArn: archiveArn(place, archive.name),
        ...(description === undefined ? {} : { Description: description }),
        ...(pattern === undefined ? {} : { EventPattern: JSON.stringify(pattern) }),
        ...(await measured(parts, archive)),
      };
    },

    async ListArchives(input) {
      const { NamePrefix = '', EventSourceArn, State, Limit, NextToken } = parsedInput(listing, input);
      const of = EventSourceArn === undefined ? undefined : sourceOf(parts, EventSourceArn);
      const found = (await archives.list()).filter(
        (archive) =>
          archive.name.startsWith(NamePrefix) &&
          (of === undefined || archive.of === of) &&
          (State === undefined || State === STATE),
      );
      const { page, next } = pageOf(found, Limit, NextToken);
      return { Archives: page.map((archive) => shownArchive(parts, archive)), ...next };
    },
  };
}

/** None here is ever anything else. */
const STATE = 'ENABLED';

/** The archive of that name. Throws AwsError. */
export async function archiveOf({ archives }: Pick<ArchiveParts, 'archives'>, name: string): Promise<NamedArchive> {
  const found = await archives.get(name);
  if (found) return found;
  throw refused('ResourceNotFoundException', `Archive ${name} does not exist.`);
}

export const archiveArn = ({ region, account }: Place, name: string): string =>
  `arn:aws:events:${region}:${account}:archive/${name}`;

/** ARN of the bus from which an archive takes its events, and to which alone they are replayed. */
export const busArnOf = ({ place: { region, account }, ownBus }: ArchiveParts, { of }: NamedArchive): string =>
  `arn:aws:events:${region}:${account}:event-bus/${of === 'native' ? DEFAULT_BUS : ownBus}`;

function sourceOf({ ownBus }: ArchiveParts, arn: string): NamedArchive['of'] {
  const [, name] = /^arn:[^:]*:events:[^:]*:[^:]*:event-bus\/(.+)$/.exec(arn) ?? [];
  if (name === undefined)
    throw refused(
      'ValidationException',
      `Parameter ${arn} is not valid. Reason: Provided Arn is not in correct format.`,
    );
  if (name === ownBus) return 'own';
  if (name === DEFAULT_BUS) return 'native';
  throw refused('ResourceNotFoundException', `Event bus ${name} does not exist.`);
}

/** Tasks are forgotten after as many days, and a replay shall not meet what is forgotten. */
function retentionOf(days: number | undefined): number {
  if (days !== undefined && days >= 1 && days <= ARCHIVE_RETENTION_D) return days;
  throw refused(
    'ValidationException',
    `Parameter RetentionDays is not valid. Reason: this world keeps events for ${ARCHIVE_RETENTION_D} days; give 1 to ${ARCHIVE_RETENTION_D}.`,
  );
}

function assertOwn({ name }: NamedArchive): void {
  if (!isBuiltIn(name)) return;
  throw refused('ValidationException', `Archive ${name} belongs to the world itself and stays as it is.`);
}

function changesIn(asked: { Description?: string | undefined; EventPattern?: string | undefined }) {
  const { Description: description, EventPattern } = asked;
  return {
    ...(description === undefined ? {} : { description }),
    ...(EventPattern === undefined ? {} : { pattern: patternOf(EventPattern) }),
  };
}

function patternOf(given: string): EventPattern {
  const wrong = whyInvalid(given);
  if (wrong !== undefined)
    throw refused('InvalidEventPatternException', `Event pattern is not valid. Reason: ${wrong}`);
  // What is valid has the shape of a pattern.
  return JSON.parse(given) as EventPattern;
}

const stateOf = (place: Place, { name }: NamedArchive): object => ({
  ArchiveArn: archiveArn(place, name),
  State: STATE,
});

function shownArchive(parts: ArchiveParts, archive: NamedArchive): object {
  return {
    ArchiveName: archive.name,
    EventSourceArn: busArnOf(parts, archive),
    State: STATE,
    RetentionDays: archive.retentionDays,
    ...(archive.madeAt === undefined ? {} : { CreationTime: secondsOf(archive.madeAt) }),
  };
}

/** Counted when somebody asks: on AWS both figures are a day old. */
async function measured({ archive, archives }: ArchiveParts, { name }: NamedArchive): Promise<object> {
  const has = await archives.filterOf(name);
  let count = 0;
  let bytes = 0;
  for await (const { events } of archive.slices(0, Number.MAX_SAFE_INTEGER)) {
    const kept: readonly Envelope[] = events.filter(has);
    count += kept.length;
    for (const event of kept) bytes += Buffer.byteLength(JSON.stringify(event));
  }
  return { EventCount: count, SizeBytes: bytes };
}

/** Times travel as seconds since the epoch. */
export const secondsOf = (at: string | undefined): number | undefined =>
  at === undefined ? undefined : Date.parse(at) / 1_000;

import * as z from 'zod';
import { type Capacity, type Compute, capacity, compute, type Isolation, isolation } from './compute.ts';
import { environmentReferences } from './environment-references.ts';
import { instant, shortText, TEXT_MAX_CHARS } from './json.ts';
import { SLOT_HOLDERS_MAX } from './slot.ts';
import { SUBSCRIBERS_MAX, subscriber } from './subscriber.ts';
import { badKey, type UserTerms, userTerms } from './task-definition.ts';
import {
  ATTEMPTS_MAX,
  agentCommand,
  CREDENTIALS,
  FIRST_OUTPUT_MIN_S,
  PRIORITY_MAX,
  TIMEOUT_MAX_S,
  userId,
} from './task-request.ts';

/** Most configurations of a deployment: they are one record, which is read for each task. */
export const CONFIGURATIONS_MAX = 100;
/** All of them together, in bytes as JSON: below the 400 KB of an item, with room for what a newer version adds. */
export const CONFIGURATIONS_MAX_BYTES = 350_000;
/** Removals that are remembered, so that a late copy of a request does not bring back what was removed since. */
export const REMOVALS_MAX = 100;
/** Users that one configuration can name. */
export const USERS_MAX = 50;
/** All of them together, in bytes as JSON: about nine secrets for each, and room for four more such configurations. */
export const USERS_MAX_BYTES = 65_536;
/** Longest name: an address, or a pattern of addresses. */
const NAME_MAX = 256;
/** Longest id of a request; a longer one is cut where it comes in. */
const ID_MAX = 256;

/** Stands for every user that a configuration does not name. */
export const EVERYBODY = '*';

/** What holds for every task of a repository unless its request says otherwise. Each field is optional, and each has a reader. */
export const repositoryConfig = z
  .strictObject({
    /** Back end; refused at submission where it is not deployed. */
    compute: compute.optional(),
    isolation: isolation.optional(),
    /** What each user's runs have beside the base, where isolation is per user; `*` stands for whoever is not named. */
    users: z
      .record(userId, userTerms, { error: badKey })
      .refine((value) => Object.keys(value).length <= USERS_MAX, `names more than ${USERS_MAX} users`)
      .refine(
        (value) => new TextEncoder().encode(JSON.stringify(value)).length <= USERS_MAX_BYTES,
        `is larger than ${USERS_MAX_BYTES} bytes`,
      )
      .optional(),
    capacity: capacity.optional(),
    /** Name of the fleet, for back ends whose workers belong to fleets. */
    fleet: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,31}$/, {
        error: ({ input }) => `"${input}" is no name of a fleet: 1 to 32 small letters, digits and "-", a letter first`,
      })
      .optional(),
    /** What the agent is started with, as one `/bin/sh -c` line. */
    agentCommand: agentCommand.optional(),
    /** Tasks of this repository that run at the same time, whoever asked for them. Without it they count for their user. */
    limit: z.int().min(1).max(SLOT_HOLDERS_MAX).optional(),
    /** Place in line among those who wait for the same slots: higher goes first. */
    priority: z.int().min(0).max(PRIORITY_MAX).optional(),
    timeoutSeconds: z.int().min(1).max(TIMEOUT_MAX_S).optional(),
    /** The agent must say something within this time after its start, or its run counts as lost. */
    firstOutputSeconds: z.int().min(FIRST_OUTPUT_MIN_S).max(TIMEOUT_MAX_S).optional(),
    attempts: z.int().min(1).max(ATTEMPTS_MAX).optional(),
    /** Whether a task whose agent failed by itself is tried again too. */
    retryAgentFailure: z.boolean().optional(),
    environment: environmentReferences.optional(),
    subscribers: z.array(subscriber).max(SUBSCRIBERS_MAX).optional(),
  })
  .refine(({ isolation, users }) => users === undefined || isolation === 'per-user', {
    path: ['users'],
    error: 'says what each user gets, which counts only where isolation is per-user: set that, or take users away',
  })
  .refine(({ isolation, users }) => isolation !== 'per-user' || users !== undefined, {
    path: ['users'],
    error: 'is missing: where isolation is per-user, it says what each user gets, or "*" for whoever is not named',
  });
export type RepositoryConfig = z.infer<typeof repositoryConfig>;

/** `…/app.git`, `…/app/` and `…/app` are one repository, whose name is the last: it is stored, shown and compared so. */
export function plainName(address: string): string {
  const plain = address.replace(/(?:\/|\.git)+$/, '');
  return plain === '' ? address : plain;
}

/** A repository's address, or a pattern of them: `*` stands for any characters. */
export const repositoryName = z
  .string()
  .trim()
  .overwrite(plainName)
  .min(1, 'is empty')
  .max(NAME_MAX)
  .refine((value) => !value.startsWith('-'), 'begins with "-"')
  .refine((value) => !/[#\s]/.test(value), 'has a space or a "#"')
  .refine((value) => !CREDENTIALS.test(value), 'holds credentials: no task can name such a repository')
  .refine(
    (value) => /^[/*]|:/.test(value),
    'is neither an absolute path nor an address that git can clone, nor begins with "*"',
  );

/**
 * A configuration as it is stored. Versions of Baton share the record while one replaces the other, so what this one does not know is
 * kept: more fields, and back ends and isolations of other names, which are refused by name when a task asks for them.
 */
const storedConfig = z.looseObject({
  ...repositoryConfig.shape,
  compute: z.custom<Compute>((value) => typeof value === 'string', 'is no text').optional(),
  isolation: z.custom<Isolation>((value) => typeof value === 'string', 'is no text').optional(),
  capacity: z.custom<Capacity>((value) => typeof value === 'string', 'is no text').optional(),
});

/** One configuration as this version stores it. */
export const repositoryEntry = z.looseObject({
  name: repositoryName,
  config: storedConfig,
  setAt: instant,
  /** Id of the request that set it. */
  setBy: z.string().max(ID_MAX),
  /** What of it this deployment did not have when it was set: tasks that need it are refused. */
  warning: z.string().max(TEXT_MAX_CHARS).optional(),
});

/** One configuration as it is told. Of one that this version cannot read: why, and what can be read of it. */
export const repositoryView = z.looseObject({
  ...repositoryEntry.shape,
  /** Empty where it has none that is text. */
  name: z.string(),
  /** Empty where it cannot be read. */
  setAt: z.string(),
  setBy: z.string(),
  /** The field that another version of Baton wrote and this one does not understand: tasks under it are refused. */
  unreadable: z.string().max(TEXT_MAX_CHARS).optional(),
});
export type RepositoryEntry = z.infer<typeof repositoryView>;

/** One entry of the record by itself: what another version wrote into it says nothing about the others. */
export function entryIn(stored: unknown): RepositoryEntry {
  const parsed = repositoryEntry.safeParse(stored);
  if (parsed.success) return parsed.data;
  const { name, config, setAt, setBy } = fieldsIn(stored);
  const limit = repositoryConfig.shape.limit.safeParse(fieldsIn(config)['limit']).data;
  return {
    name: typeof name === 'string' ? plainName(name) : '',
    config: limit === undefined ? {} : { limit },
    setAt: instant.safeParse(setAt).data ?? '',
    setBy: typeof setBy === 'string' ? setBy : '',
    unreadable: shortText(faultsIn(parsed.error)),
  };
}

const fieldsIn = (value: unknown): Readonly<Record<string, unknown>> => ({ ...(value as object | undefined) });

/** What does not fit, field by field. */
const faultsIn = ({ issues }: z.ZodError): string =>
  issues
    .map(({ path, message }) => (path.length > 0 ? `${path.map(String).join('.')}: ${message}` : message))
    .join('; ');

/** A configuration that was removed, and by which request. */
export const repositoryRemoval = z.looseObject({
  name: z.string(),
  at: instant,
  by: z.string().max(ID_MAX),
});

/** All configurations of a deployment, as this version stores them: one record, so that finding the one that holds is one read. */
export const repositoriesRecord = z.looseObject({
  entries: z.array(repositoryEntry).max(CONFIGURATIONS_MAX),
  /** The latest removals, oldest first. */
  removed: z.array(repositoryRemoval).max(REMOVALS_MAX).optional(),
});
export type RepositoriesRecord = z.infer<typeof repositoriesRecord>;

/** The entry that holds for a repository: the one of its name, else the pattern that names most of it. */
export function entryFor(repository: string, entries: readonly RepositoryEntry[]): RepositoryEntry | undefined {
  const meant = plainName(repository);
  const exact = entries.find(({ name }) => plainName(name) === meant);
  if (exact) return exact;
  return entries
    .filter(({ name }) => name.includes('*') && matches(plainName(name), meant))
    .sort((a, b) => named(b.name) - named(a.name) || (a.name < b.name ? -1 : 1))[0];
}

const named = (pattern: string): number => pattern.replaceAll('*', '').length;

/** Without a regular expression: a pattern comes from people, and must not cost more than the text is long. */
function matches(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (!text.startsWith(first)) return false;
  const last = rest.pop() ?? '';
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

/** The slot key of a repository that has a limit of its own. */
export const slotKeyOfRepository = (name: string): string => `repository:${plainName(name)}`;

/** The configuration whose limit a slot key has; undefined for the key of a user. */
export const repositoryOfSlotKey = (key: string): string | undefined =>
  key.startsWith('repository:') ? plainName(key.slice('repository:'.length)) : undefined;

/** What a configuration says that a user's runs have; undefined where it says nothing of that user. */
export function userTermsIn({ users }: Pick<RepositoryConfig, 'users'>, userId: string): UserTerms | undefined {
  const named = users && Object.hasOwn(users, userId) ? users[userId] : undefined;
  return named ?? users?.[EVERYBODY];
}

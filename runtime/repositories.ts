import {
  CONFIGURATIONS_MAX,
  CONFIGURATIONS_MAX_BYTES,
  entryFor,
  entryIn,
  plainName,
  REMOVALS_MAX,
  type RepositoryConfig,
  type RepositoryEntry,
  repositoryOfSlotKey,
  repositoryRemoval,
} from '../schemas/repository-config.ts';
import { BatonError } from './errors.ts';
import type { Configurations, ConfiguredBy, RecordStore, Repositories } from './ports.ts';
import { DECIDE_TRIES, REPOSITORIES_KEY } from './records.ts';

/** The repositories port over any record store. */
export function repositoriesOver({ store }: { readonly store: Pick<RecordStore, 'get'> }): Repositories {
  return {
    configurationOf: async (repository) => entryFor(repository, await storedIn(store)),
    list: () => storedIn(store),
  };
}

/** The configurations port over any record store: one record, every change one conditional write. */
export function configurationsOver({ store }: { readonly store: Pick<RecordStore, 'get' | 'put'> }): Configurations {
  return {
    async set(given, config, by) {
      const name = plainName(given);
      let unsure = false;
      for (let tries = 0; tries < DECIDE_TRIES; tries++) {
        const stored = await store.get(REPOSITORIES_KEY);
        const record = recordIn(stored?.value);
        const known = latestOf(name, record);
        // It may be this call's own, of which only the answer was lost: then nobody has said it.
        if (known?.by === by.id) return unsure ? 'stored' : 'already';
        if (known && isLater(known, by)) return 'older';
        const next = changed(record, name, config, by);
        if (config !== null && isFull(next, record)) return 'full';
        const written = await store.put(REPOSITORIES_KEY, next, stored?.revision ?? 'absent');
        if (written.outcome === 'written') return 'stored';
        unsure ||= written.unsure === true;
      }
      throw new BatonError('contention', `the configurations were written by others ${DECIDE_TRIES} times`);
    },
  };
}

/** All configurations, by name; those that this version cannot read say so. Throws `configuration_corrupt`. */
export const storedIn = async (store: Pick<RecordStore, 'get'>): Promise<readonly RepositoryEntry[]> =>
  recordIn((await store.get(REPOSITORIES_KEY))?.value).entries.map(entryIn);

/** How many tasks of a slot key may run at once: as its repository is configured, else as the deployment is. */
export const limitsOver =
  (repositories: Pick<Repositories, 'list'>, usual: (key: string) => number) =>
  async (key: string): Promise<number> => {
    const name = repositoryOfSlotKey(key);
    if (name === undefined) return usual(key);
    const entry = (await repositories.list()).find((one) => one.name === name);
    return entry?.config.limit ?? usual(key);
  };

/** The record as it is stored: versions of Baton share it, so what this one cannot read goes back as it came. */
interface Stored {
  readonly entries: readonly unknown[];
  /** A list, as far as this version knows. */
  readonly removed?: unknown;
}

interface Change {
  /** Id of the request. */
  readonly by: string;
  readonly at: string;
}

/** What was last done under a name: setting it, or removing it. */
function latestOf(name: string, record: Stored): Change | undefined {
  const set = record.entries.filter(isOf(name)).map((stored): Change => {
    const { setBy, setAt } = entryIn(stored);
    return { by: setBy, at: setAt };
  });
  const removed = removalsIn(record)
    .filter(isOf(name))
    .flatMap((stored): Change[] => {
      const { data } = repositoryRemoval.safeParse(stored);
      return data ? [data] : [];
    });
  return [...set, ...removed].reduce<Change | undefined>(
    (latest, one) => (latest && isLater(latest, { id: one.by, at: one.at }) ? latest : one),
    undefined,
  );
}

const isOf =
  (name: string) =>
  (stored: unknown): boolean =>
    nameOf(stored) === name;

/** Empty where it has none that is text. */
function nameOf(stored: unknown): string {
  const { name } = (stored ?? {}) as { name?: unknown };
  return typeof name === 'string' ? plainName(name) : '';
}

const removalsIn = ({ removed }: Stored): readonly unknown[] => (Array.isArray(removed) ? removed : []);

/** Two requests of the same millisecond have an order too, and everybody finds the same one. */
const isLater = (known: Change, { id, at }: ConfiguredBy): boolean =>
  known.at > at || (known.at === at && known.by > id);

function changed(
  record: Stored,
  name: string,
  config: RepositoryConfig | null,
  { id, at, warning }: ConfiguredBy,
): Stored {
  const others = record.entries.filter((stored) => !isOf(name)(stored));
  const before = removalsIn(record);
  const removed = before.filter((stored) => !isOf(name)(stored));
  // A version that remembers more than this one keeps what it remembers; a memory of another form stays as it is.
  const remembered = (removals: readonly unknown[]) =>
    record.removed === undefined || Array.isArray(record.removed)
      ? { removed: removals.slice(-Math.max(REMOVALS_MAX, before.length)) }
      : {};
  if (config === null) return { ...record, entries: others, ...remembered([...removed, { name, at, by: id }]) };
  const entry = { name, config, setAt: at, setBy: id, ...(warning === undefined ? {} : { warning }) };
  const entries = [...others, entry].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  return { ...record, entries, ...remembered(removed) };
}

/** There is always room for what makes the record no larger: a newer version may have stored more than this one would. */
const isFull = (next: Stored, before: Stored): boolean =>
  next.entries.length > Math.max(CONFIGURATIONS_MAX, before.entries.length) ||
  bytesOf(next) > Math.max(CONFIGURATIONS_MAX_BYTES, bytesOf(before));

const bytesOf = (record: Stored): number => Buffer.byteLength(JSON.stringify(record));

/** Only what is no record of entries at all is an error: an entry that does not fit is a matter of its own repository. */
function recordIn(value: unknown): Stored {
  if (value === undefined) return { entries: [] };
  const { entries } = (value ?? {}) as { entries?: unknown };
  if (Array.isArray(entries)) return { ...(value as object), entries };
  throw new BatonError('configuration_corrupt', `The record ${REPOSITORIES_KEY} has no list of entries.`);
}

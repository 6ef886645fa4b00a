import {
  CONFIGURATIONS_MAX,
  CONFIGURATIONS_MAX_BYTES,
  entryFor,
  REMOVALS_MAX,
  type RepositoriesRecord,
  type RepositoryConfig,
  repositoriesRecord,
  repositoryOfSlotKey,
} from '../schemas/repository-config.ts';
import { BatonError } from './errors.ts';
import type { ConfiguredBy, RecordStore, Repositories } from './ports.ts';
import { DECIDE_TRIES, REPOSITORIES_KEY } from './records.ts';

/** The repositories port over any record store: one record, every change one conditional write. */
export function repositoriesOver({ store }: { readonly store: RecordStore }): Repositories {
  return {
    configurationOf: async (repository) => entryFor(repository, (await storedIn(store)).entries),
    list: async () => (await storedIn(store)).entries,

    async set(name, config, by) {
      for (let tries = 0; tries < DECIDE_TRIES; tries++) {
        const stored = await store.get(REPOSITORIES_KEY);
        const record = recordIn(stored?.value);
        const known = latestOf(name, record);
        if (known?.by === by.id) return 'already';
        if (known && isLater(known, by)) return 'older';
        const next = changed(record, name, config, by);
        if (config !== null && isFull(next)) return 'full';
        const written = await store.put(REPOSITORIES_KEY, next, stored?.revision ?? 'absent');
        if (written.outcome === 'written') return 'stored';
      }
      throw new BatonError('contention', `the configurations were written by others ${DECIDE_TRIES} times`);
    },
  };
}

/** All configurations, as they are stored. Throws `configuration_corrupt`. */
export const storedIn = async (store: Pick<RecordStore, 'get'>): Promise<RepositoriesRecord> =>
  recordIn((await store.get(REPOSITORIES_KEY))?.value);

/** How many tasks of a slot key may run at once: as its repository is configured, else as the deployment is. */
export const limitsOver =
  (repositories: Pick<Repositories, 'list'>, usual: (key: string) => number) =>
  async (key: string): Promise<number> => {
    const name = repositoryOfSlotKey(key);
    if (name === undefined) return usual(key);
    const entry = (await repositories.list()).find((one) => one.name === name);
    return entry?.config.limit ?? usual(key);
  };

interface Change {
  /** Id of the request. */
  readonly by: string;
  readonly at: string;
}

/** What was last done under a name: setting it, or removing it. */
function latestOf(name: string, { entries, removed = [] }: RepositoriesRecord): Change | undefined {
  const entry = entries.find((one) => one.name === name);
  return entry ? { by: entry.setBy, at: entry.setAt } : removed.find((one) => one.name === name);
}

/** Two requests of the same millisecond have an order too, and everybody finds the same one. */
const isLater = (known: Change, { id, at }: ConfiguredBy): boolean =>
  known.at > at || (known.at === at && known.by > id);

function changed(
  record: RepositoriesRecord,
  name: string,
  config: RepositoryConfig | null,
  { id, at, warning }: ConfiguredBy,
): RepositoriesRecord {
  const others = record.entries.filter((entry) => entry.name !== name);
  const removed = (record.removed ?? []).filter((one) => one.name !== name);
  if (config === null)
    return { ...record, entries: others, removed: [...removed, { name, at, by: id }].slice(-REMOVALS_MAX) };
  const entry = { name, config, setAt: at, setBy: id, ...(warning === undefined ? {} : { warning }) };
  return { ...record, entries: [...others, entry].sort((a, b) => (a.name < b.name ? -1 : 1)), removed };
}

const isFull = (record: RepositoriesRecord): boolean =>
  record.entries.length > CONFIGURATIONS_MAX || Buffer.byteLength(JSON.stringify(record)) > CONFIGURATIONS_MAX_BYTES;

/** What is stored is checked when it is read: a record that does not fit is an error with its field, never a guess. */
function recordIn(value: unknown): RepositoriesRecord {
  if (value === undefined) return { entries: [] };
  const parsed = repositoriesRecord.safeParse(value);
  if (parsed.success) return parsed.data;
  const told = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new BatonError('configuration_corrupt', `The record ${REPOSITORIES_KEY} does not fit its schema: ${told}`);
}

import {
  CONFIGURATIONS_MAX,
  entryFor,
  type RepositoriesRecord,
  type RepositoryConfig,
  type RepositoryEntry,
  repositoriesRecord,
  repositoryOfSlotKey,
} from '../schemas/repository-config.ts';
import { BatonError } from './errors.ts';
import type { RecordStore, Repositories } from './ports.ts';
import { DECIDE_TRIES, REPOSITORIES_KEY } from './records.ts';

/** The repositories port over any record store: one record, every change one conditional write. */
export function repositoriesOver({ store }: { readonly store: RecordStore }): Repositories {
  return {
    configurationOf: async (repository) => entryFor(repository, (await read()).entries),
    list: async () => (await read()).entries,

    async set(name, config, by) {
      for (let tries = 0; tries < DECIDE_TRIES; tries++) {
        const stored = await store.get(REPOSITORIES_KEY);
        const { entries } = recordIn(stored?.value);
        const known = entries.find((entry) => entry.name === name);
        if (known?.setBy === by.id) return 'already';
        if (known && known.setAt > by.at) return 'older';
        const next = withEntry(entries, name, config, by);
        if (next.length > CONFIGURATIONS_MAX) return 'full';
        const written = await store.put(REPOSITORIES_KEY, { entries: next }, stored?.revision ?? 'absent');
        if (written.outcome === 'written') return 'stored';
      }
      throw new BatonError('contention', `the configurations were written by others ${DECIDE_TRIES} times`);
    },
  };

  async function read(): Promise<RepositoriesRecord> {
    return recordIn((await store.get(REPOSITORIES_KEY))?.value);
  }
}

/** How many tasks of a slot key may run at once: as its repository is configured, else as the deployment is. */
export const limitsOver =
  (repositories: Pick<Repositories, 'list'>, usual: (key: string) => number) =>
  async (key: string): Promise<number> => {
    const name = repositoryOfSlotKey(key);
    if (name === undefined) return usual(key);
    const entry = (await repositories.list()).find((one) => one.name === name);
    return entry?.config.limit ?? usual(key);
  };

function withEntry(
  entries: readonly RepositoryEntry[],
  name: string,
  config: RepositoryConfig | null,
  { id, at }: { readonly id: string; readonly at: string },
): RepositoryEntry[] {
  const others = entries.filter((entry) => entry.name !== name);
  if (config === null) return others;
  return [...others, { name, config, setAt: at, setBy: id }].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What is stored is checked when it is read: a record that does not fit is an error with its field, never a guess. */
function recordIn(value: unknown): RepositoriesRecord {
  if (value === undefined) return { entries: [] };
  const parsed = repositoriesRecord.safeParse(value);
  if (parsed.success) return parsed.data;
  const told = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new BatonError('configuration_corrupt', `The record ${REPOSITORIES_KEY} does not fit its schema: ${told}`);
}

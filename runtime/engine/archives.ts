import type { EventPattern } from '../../rules/event-pattern.ts';
import { archiveNamesOf } from '../../schemas/archive-names.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { prefixOf, STAGE_DEFAULT } from '../../schemas/stage.ts';
import { BatonError } from '../errors.ts';
import { compilePattern, type Match } from '../matcher.ts';
import type { RecordStore } from '../ports.ts';
import { ARCHIVE_PREFIX, archiveKey } from '../records.ts';
import { ARCHIVE_RETENTION_D } from './archive.ts';

/** The archives that each world has, called as those of the main stage. */
export const { own: OWN_ARCHIVE, native: NATIVE_ARCHIVE } = archiveNamesOf(prefixOf(STAGE_DEFAULT));
/** Archives of one world beside its own: each is looked through by who lists them. */
export const ARCHIVES_MAX = 100;

const DAY_MS = 86_400_000;

/** A part of what the world keeps, under a name: by bus, by pattern, and from its making on. */
export interface NamedArchive {
  readonly name: string;
  /** Whether it keeps native events, or those of the own bus. */
  readonly of: 'own' | 'native';
  readonly description?: string;
  readonly pattern?: EventPattern;
  readonly retentionDays: number;
  /** It has no event from before; the world's own archives have all that is kept. */
  readonly madeAt?: string;
}

export interface Archives {
  get(name: string): Promise<NamedArchive | undefined>;
  /** By name, the world's own among them. */
  list(): Promise<NamedArchive[]>;
  /** False when the name is taken. */
  make(archive: NamedArchive): Promise<boolean>;
  change(archive: NamedArchive): Promise<void>;
  delete(name: string): Promise<void>;
  /** Which events an archive has. Throws `unknown_archive`. */
  filterOf(name: string): Promise<Match>;
}

const BUILT_IN: readonly NamedArchive[] = [
  { name: OWN_ARCHIVE, of: 'own', retentionDays: ARCHIVE_RETENTION_D },
  { name: NATIVE_ARCHIVE, of: 'native', retentionDays: ARCHIVE_RETENTION_D },
];

export const isBuiltIn = (name: string): boolean => BUILT_IN.some((one) => one.name === name);

/** The archives of a world: views of the one that it writes. */
export function archivesOver({ store, nowMs }: { store: RecordStore; nowMs: () => number }): Archives {
  return {
    get,
    async list() {
      const stored = await store.list(ARCHIVE_PREFIX, { limit: ARCHIVES_MAX });
      return [...BUILT_IN, ...stored.map(({ value }) => archiveIn(value))].sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async make(archive) {
      if (isBuiltIn(archive.name)) return false;
      return (await store.put(archiveKey(archive.name), archive, 'absent')).outcome === 'written';
    },
    async change(archive) {
      await store.put(archiveKey(archive.name), archive, 'any');
    },
    delete: (name) => store.delete(archiveKey(name)),
    async filterOf(name) {
      const archive = await get(name);
      if (!archive) throw new BatonError('unknown_archive', `There is no archive "${name}" here.`);
      const { of, pattern, madeAt = '', retentionDays } = archive;
      const fits = pattern ? compilePattern(pattern) : () => true;
      const oldest = [madeAt, new Date(nowMs() - retentionDays * DAY_MS).toISOString()].sort().at(-1) ?? '';
      return (event) => isOf(event as Envelope, of) && (event as Envelope).time >= oldest && fits(event);
    },
  };

  async function get(name: string): Promise<NamedArchive | undefined> {
    const builtIn = BUILT_IN.find((one) => one.name === name);
    if (builtIn) return builtIn;
    const stored = await store.get(archiveKey(name));
    return stored && archiveIn(stored.value);
  }
}

const isOf = ({ source }: Envelope, of: NamedArchive['of']): boolean => (of === 'native') === source.startsWith('aws.');

/** Only this module writes below the prefix. */
const archiveIn = (value: unknown): NamedArchive => value as NamedArchive;

import type { Cause } from '../../schemas/envelope.ts';
import type { Journal, RecordStore } from '../ports.ts';
import { journalKey } from '../records.ts';

/** Ignored events kept per task: enough to explain a storm, small enough to keep for every task. */
export const IGNORED_MAX = 32;
/** Journals kept in memory; older ones are on disk. */
const JOURNALS_MAX = 4096;

export interface TaskJournal {
  readonly duplicates: number;
  readonly ignored: readonly { at: string; cause: Cause; reason: string }[];
}

export interface EngineJournal extends Journal {
  read(taskId: string): Promise<TaskJournal>;
}

/** The side table of the embedded world: what was ignored and why, and how many duplicates were absorbed. */
export function engineJournal(store: RecordStore, now: () => string): EngineJournal {
  const known = new Map<string, Promise<TaskJournal>>();

  return {
    ignored: (taskId, cause, reason) =>
      change(taskId, (journal) => ({
        ...journal,
        ignored: [...journal.ignored, { at: now(), cause, reason }].slice(-IGNORED_MAX),
      })),
    duplicate: (taskId) => change(taskId, (journal) => ({ ...journal, duplicates: journal.duplicates + 1 })),
    read: (taskId) => known.get(taskId) ?? load(taskId),
  };

  function change(taskId: string, next: (journal: TaskJournal) => TaskJournal): void {
    if (taskId === '') return;
    const changed = (known.get(taskId) ?? load(taskId)).then(async (journal) => {
      const value = next(journal);
      await store.put(journalKey(taskId), value, 'any');
      return value;
    });
    // A note that cannot be kept must not fail the step it is about; a store that fails says so to everybody else.
    const kept = changed.catch(() => EMPTY);
    known.delete(taskId);
    known.set(taskId, kept);
    if (known.size > JOURNALS_MAX) known.delete(known.keys().next().value ?? '');
  }

  async function load(taskId: string): Promise<TaskJournal> {
    return ((await store.get(journalKey(taskId)))?.value as TaskJournal | undefined) ?? EMPTY;
  }
}

const EMPTY: TaskJournal = { duplicates: 0, ignored: [] };

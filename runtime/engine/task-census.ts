import type { Status, Task } from '../../schemas/task.ts';
import type { RecordStore, StoredRecord } from '../ports.ts';
import { taskKey } from '../records.ts';
import { openTasks } from './open-tasks.ts';

const PREFIX = taskKey('');

/** Counts the tasks that are not settled, by looking at every write of one. */
export interface TaskCensus {
  /** The same store; what is written through it is counted. */
  readonly store: RecordStore;
  /** Counts what an earlier process left. Call it before anything else writes. */
  take(): Promise<void>;
  unsettled(): number;
  byStatus(): Partial<Record<Status, number>>;
}

export function taskCensus(store: RecordStore): TaskCensus {
  const open = new Map<string, { status: Status; revision: number }>();
  return {
    store: {
      get: (key) => store.get(key),
      async put(key, value, expected, index) {
        const result = await store.put(key, value, expected, index);
        if (result.outcome === 'written' && key.startsWith(PREFIX)) note({ key, value, revision: result.revision });
        return result;
      },
      delete: (key) => store.delete(key),
      list: (prefix, options) => store.list(prefix, options),
      query: (options) => store.query(options),
      durable: () => store.durable(),
      close: () => store.close(),
    },
    async take() {
      for await (const { taskId, status } of openTasks(store)) open.set(taskKey(taskId), { status, revision: 0 });
    },
    unsettled: () => open.size,
    byStatus() {
      const counts: Partial<Record<Status, number>> = {};
      for (const { status } of open.values()) counts[status] = (counts[status] ?? 0) + 1;
      return counts;
    },
  };

  /** Writes of one key are noted in any order; the latest revision counts. */
  function note({ key, value, revision }: StoredRecord): void {
    const task = value as Task | { status: 'REJECTED' };
    if (task.status === 'REJECTED' || (open.get(key)?.revision ?? 0) > revision) return;
    if ('settledAt' in task && task.settledAt !== undefined) open.delete(key);
    else open.set(key, { status: task.status, revision });
  }
}

import type { Rejection, Status, Task } from '../../schemas/task.ts';
import type { RecordStore } from '../ports.ts';
import { taskKey } from '../records.ts';
import type { StoreObserver } from './observed-store.ts';
import { openTasks } from './open-tasks.ts';

const PREFIX = taskKey('');

/** Counts the tasks that are not settled, by looking at every write of one. */
export interface TaskCensus extends Required<Pick<StoreObserver, 'written'>> {
  /** Counts what an earlier process left. Call it before anything else writes. */
  take(store: RecordStore): Promise<void>;
  unsettled(): number;
  byStatus(): Partial<Record<Status, number>>;
}

export function taskCensus(): TaskCensus {
  const open = new Map<string, { status: Status; revision: number }>();
  return {
    written({ key, value, revision }) {
      if (!key.startsWith(PREFIX)) return;
      const task = answerOf(value);
      if (task.status === 'REJECTED' || (open.get(key)?.revision ?? 0) > revision) return;
      if ('settledAt' in task && task.settledAt !== undefined) open.delete(key);
      else open.set(key, { status: task.status, revision });
    },
    async take(store) {
      for await (const { taskId, status } of openTasks(store)) open.set(taskKey(taskId), { status, revision: 0 });
    },
    unsettled: () => open.size,
    byStatus() {
      const counts: Partial<Record<Status, number>> = {};
      for (const { status } of open.values()) counts[status] = (counts[status] ?? 0) + 1;
      return counts;
    },
  };
}

/** Only the tasks port writes below the prefix. */
const answerOf = (value: unknown): Task | Rejection => value as Task | Rejection;

import type { Task } from '../../schemas/task.ts';
import type { RecordStore } from '../ports.ts';

/** Tasks read at once: some 10 MB of records at most. */
const PAGE = 1000;

/** Every task that is not settled, newest first. */
export async function* openTasks(store: RecordStore): AsyncGenerator<Task> {
  let before: { at: string; key: string } | undefined;
  for (;;) {
    const page = await store.query({ open: true, limit: PAGE, ...(before === undefined ? {} : { before }) });
    for (const { key, value } of page) {
      const task = taskOf(value);
      before = { at: task.submittedAt, key };
      yield task;
    }
    if (page.length < PAGE) return;
  }
}

/** Only tasks are listed as open. */
const taskOf = (value: unknown): Task => value as Task;

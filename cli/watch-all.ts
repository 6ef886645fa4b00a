import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskSummary } from '../schemas/task-view.ts';
import { findWorld, type PlaceOptions } from './find-world.ts';
import { type Follower, follower } from './follow.ts';
import { patiently } from './patience.ts';
import { taskReport } from './task-report.ts';
import type { Terminal } from './terminal.ts';
import { isOver } from './timeline.ts';
import type { WorldClient } from './world-client.ts';

/** How often the list of tasks is looked at, in milliseconds. */
const LIST_INTERVAL_MS = 500;
/** Characters of a task id before the lines about it: enough to tell tasks apart, and to name one. */
const TAG_CHARS = 8;

/** Follows every task that is not over, and every one that comes, for as long as there is a world. */
export async function watchAll(options: PlaceOptions & { readonly json?: true }, terminal: Terminal): Promise<never> {
  const tag = ({ taskId }: TaskSummary): string => terminal.paint.dim(taskId.slice(0, TAG_CHARS));
  const report = taskReport(terminal, { json: options.json === true, tag });
  const find = (): Promise<WorldClient> => findWorld(options, process.cwd());
  const first = await find();
  const followed = new Map<string, Follower>();
  const overBefore = new Set((await first.tasks()).filter(isOver).map(({ taskId }) => taskId));
  report.remark(`Watching the world at ${first.url}; Ctrl-C ends it.`);
  return patiently(find, async (client) => {
    for (;;) {
      const tasks = await client.tasks();
      for (const task of tasks.reverse()) if (!overBefore.has(task.taskId)) await look(client, task);
      await sleep(LIST_INTERVAL_MS);
    }
  });

  async function look(client: WorldClient, { taskId, version }: TaskSummary): Promise<void> {
    const known = followed.get(taskId);
    if (known && known.view().version >= version) return;
    const view = await client.task(taskId);
    if (known) return known.take(view);
    report.begin(view);
    followed.set(taskId, follower(view, report.news));
  }
}

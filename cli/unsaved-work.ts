import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { workedDirOf } from '../runtime/engine/run-keeping.ts';
import type { TaskView } from '../schemas/task-view.ts';
import { isOver } from './timeline.ts';

/**
 * What is said of the work of a task that ended in vain after an agent had worked for it, where nothing of it was pushed: a run that is
 * killed has no time to save. `dataDir` is that of a world on this machine, which keeps such workspaces for a while.
 */
export function unsavedText(view: TaskView, dataDir?: string): string | undefined {
  const hasWorked = view.history.some(({ to }) => to === 'RUNNING');
  if (!isOver(view) || view.status === 'COMPLETED' || !hasWorked) return undefined;
  if (view.savedWork || view.result?.branch) return undefined;
  const workspace = dataDir === undefined ? undefined : lastWorkspace(view, dataDir);
  return `none${workspace === undefined ? '' : `; what is left of it: ${workspace}`}`;
}

/** The workspace of the latest attempt that still has one. */
function lastWorkspace({ taskId, attempt }: TaskView, dataDir: string): string | undefined {
  for (let number = attempt; number > 0; number--) {
    const workspace = join(workedDirOf(join(dataDir, 'runs'), taskId, number), 'workspace');
    if (existsSync(workspace)) return workspace;
  }
  return undefined;
}

import { durationBetween } from '../cli/duration.ts';
import { type Paint, paintStatus } from '../cli/paint.ts';
import { table } from '../cli/task-table.ts';
import { diffText } from '../cli/timeline.ts';
import type { TaskView } from '../schemas/task-view.ts';

/** What the demonstration has seen: three tasks at their end, and the processes of the one that was cancelled at work. */
export interface Shown {
  readonly completed: TaskView;
  readonly crashed: TaskView;
  readonly cancelled: TaskView;
  readonly pids: readonly number[];
}

export interface Verdict {
  readonly says: string;
  readonly isTrue: boolean;
}

/** The three tasks as a table; `names` by task id. */
export function demoTable(
  { completed, crashed, cancelled }: Shown,
  names: ReadonlyMap<string, string>,
  paint: Paint,
): string[] {
  return table(
    ['TASK', 'STATE', 'DURATION', 'HOPS', 'DUPLICATES ABSORBED', 'BRANCH', 'DIFF'],
    [completed, crashed, cancelled].map((view) => [
      { text: names.get(view.taskId) ?? view.taskId },
      { text: view.status, colour: (text) => paintStatus(view.status, paint, text) },
      { text: durationBetween(view.submittedAt, view.endedAt ?? view.submittedAt) },
      { text: String(view.history.length) },
      { text: String(view.duplicates) },
      { text: branchOf(view) },
      { text: view.result?.branch ? diffText(view.result) : '-' },
    ]),
    paint,
  );
}

/** Each thing that the demonstration claims, and whether it was so. `head` gives the commit of a branch in the repository. */
export function verdicts(shown: Shown, head: (branch: string) => string | undefined): Verdict[] {
  const { completed, crashed, cancelled, pids } = shown;
  const { branch = null, commit = null } = completed.result ?? {};
  const gone = pids.length > 0 && pids.every((pid) => pid > 0 && !isAlive(pid));
  const all = [completed, crashed, cancelled];
  const absorbed = all.reduce((sum, { duplicates }) => sum + duplicates, 0);
  return [
    {
      says: `one completed, and its branch is in the repository (${branch ?? 'none'})`,
      isTrue: completed.status === 'COMPLETED' && branch !== null && commit !== null && head(branch) === commit,
    },
    {
      says: `one crashed and failed with its reason (${crashed.reason?.code}: ${crashed.reason?.message.split('. ')[0]})`,
      isTrue: crashed.status === 'FAILED' && crashed.reason?.code === 'agent_failed',
    },
    {
      says: `one was cancelled at work, and its processes are gone (${pids.join(' and ')})`,
      isTrue: cancelled.status === 'CANCELLED' && gone,
    },
    {
      says: `every one ended once and is settled, though ${absorbed} deliveries came a second time`,
      isTrue: all.every(({ settled, duplicates }) => settled && duplicates > 0),
    },
  ];
}

const branchOf = ({ result, savedWork }: TaskView): string =>
  result?.branch ?? (savedWork ? `${savedWork.branch} (saved work)` : '-');

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

import { durationBetween } from '../cli/duration.ts';
import { type Paint, paintStatus } from '../cli/paint.ts';
import { table } from '../cli/task-table.ts';
import { diffText } from '../cli/timeline.ts';
import type { TaskView } from '../schemas/task-view.ts';

/** What the demonstration has seen: tasks at their end, and the processes that were to go. */
export interface Shown {
  readonly completed: TaskView;
  /** Completed too, in a session of AgentCore. */
  readonly inSession: TaskView;
  /** Process of that session. */
  readonly sessionPid: number;
  /** Completed too, on a worker of the fleet, which is idle again; not where this machine can have none. */
  readonly onWorker?: TaskView;
  readonly worker?: string;
  readonly crashed: TaskView;
  readonly cancelled: TaskView;
  /** Processes of the task that was cancelled at work. */
  readonly pids: readonly number[];
}

export interface Verdict {
  readonly says: string;
  readonly isTrue: boolean;
}

/** The tasks as a table; `names` by task id. */
export function demoTable(shown: Shown, names: ReadonlyMap<string, string>, paint: Paint): string[] {
  return table(
    ['TASK', 'COMPUTE', 'STATE', 'DURATION', 'HOPS', 'DUPLICATES ABSORBED', 'BRANCH', 'DIFF'],
    allOf(shown).map((view) => [
      { text: names.get(view.taskId) ?? view.taskId },
      { text: view.compute },
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
  const { completed, inSession, sessionPid, onWorker, worker, crashed, cancelled, pids } = shown;
  const isPushed = ({ status, result }: TaskView): boolean =>
    status === 'COMPLETED' && !!result?.branch && result.commit !== null && head(result.branch) === result.commit;
  const all = allOf(shown);
  const absorbed = all.reduce((sum, { duplicates }) => sum + duplicates, 0);
  return [
    {
      says: `one completed on ${completed.compute}, and its branch is in the repository (${completed.result?.branch ?? 'none'})`,
      isTrue: isPushed(completed),
    },
    {
      says: `one completed on ${inSession.compute}, and nothing is left of its session (${sessionPid})`,
      isTrue: isPushed(inSession) && inSession.run?.ended?.proof === 'proven' && isGone(sessionPid),
    },
    ...(onWorker
      ? [
          {
            says: `one completed on ${onWorker.compute}, and its worker is proven clean and idle again (${worker})`,
            isTrue: isPushed(onWorker) && onWorker.run?.ended?.proof === 'proven',
          },
        ]
      : []),
    {
      says: `one crashed and failed with its reason (${crashed.reason?.code}: ${crashed.reason?.message.split('. ')[0]})`,
      isTrue: crashed.status === 'FAILED' && crashed.reason?.code === 'agent_failed',
    },
    {
      says: `one was cancelled at work, and its processes are gone (${pids.join(' and ')})`,
      isTrue: cancelled.status === 'CANCELLED' && pids.length > 0 && pids.every(isGone),
    },
    {
      says: `every one ended once and is settled, though ${absorbed} deliveries came a second time`,
      isTrue: all.every(({ settled, duplicates }) => settled && duplicates > 0),
    },
  ];
}

const allOf = ({ completed, inSession, onWorker, crashed, cancelled }: Shown): readonly TaskView[] => [
  completed,
  inSession,
  ...(onWorker ? [onWorker] : []),
  crashed,
  cancelled,
];

const branchOf = ({ result, savedWork }: TaskView): string =>
  result?.branch ?? (savedWork ? `${savedWork.branch} (saved work)` : '-');

/** There was such a process, and there is none any more. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return pid > 0;
  }
}

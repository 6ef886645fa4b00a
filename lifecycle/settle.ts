import { notificationDue } from '../events/notification-due.ts';
import { taskSettled } from '../events/task-settled.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { Task, TerminalTask } from '../schemas/task.ts';
import { unproven } from './evolve.ts';
import { orphanFact } from './judge.ts';
import { ignore, type Move, mark, type Note, repeat } from './move.ts';
import { isTerminal, runOf } from './states.ts';

/** Has the compute of a terminal task ended, or never begun? */
export function computeIsOver(task: Task): boolean {
  const run = runOf(task);
  return run === undefined || run.ended !== undefined;
}

/** Is everything true that settling needs, once `told` says that the terminal fact was just delivered? */
export const canSettle = (task: Task, told: boolean): task is TerminalTask =>
  isTerminal(task) && task.settledAt === undefined && computeIsOver(task) && (told || lastEntry(task)?.proven === true);

/** The terminal fact was delivered, or the compute ended: marks what is proven, and settles when both are. */
export function settle(task: Task, record: RunRecord | undefined, at: string, told: boolean): Move {
  if (!isTerminal(task)) return ignore('task_has_not_ended');
  if (task.settledAt !== undefined) return repeat(settledNotes(task, record), unanswered(task));
  const entry = lastEntry(task);
  if (!canSettle(task, told)) {
    if (!told) return ignore('terminal_fact_is_not_proven');
    return entry && !entry.proven ? mark({ proven: [entry.version] }) : ignore('compute_has_not_ended');
  }
  const again = unproven(task).filter((old) => old.version !== task.version);
  return mark({
    due: Object.fromEntries(Object.keys(task.due).map((purpose) => [purpose, null])),
    proven: [task.version],
    settledAt: at,
    again,
    notes: settledNotes(task, record),
  });
}

/**
 * What is said again to a retry after the task has settled: nothing that has had its effect, be it by a replay, which proves nothing. The
 * fact and its answer, both long committed, would bring each other for ever.
 */
const unanswered = (task: Task) =>
  unproven(task).filter(({ facts }) => !facts.some(({ id }) => task.history.some(({ cause }) => cause.id === id)));

const lastEntry = (task: Task) => task.history.at(-1);

function settledNotes(task: TerminalTask, record: RunRecord | undefined): Note[] {
  const run = runOf(task);
  // In STOPPING the orphan was said by the step that closed it; after the end, settling says it.
  const said = task.history.some((entry) =>
    entry.facts.some((fact) => fact.type === 'RunOrphaned' && entry.attempt === task.attempt),
  );
  const orphaned = run?.ended?.proof === 'given_up' && !said;
  return [
    ...(orphaned
      ? [{ id: `${task.taskId}#attempt-${run.attempt}#RunOrphaned`, fact: orphanFact(task, run, record) }]
      : []),
    ...notifications(task),
    { id: `${task.taskId}#TaskSettled`, fact: taskSettled.of({ status: task.status }) },
  ];
}

/** One for each subscriber. They name it by its place: its address may hold a secret. */
const notifications = ({ taskId, status, subscribers = [] }: TerminalTask): Note[] =>
  subscribers.map(({ channel }, subscriber) => ({
    id: `${taskId}#notify#${subscriber}`,
    fact: notificationDue.of({ channel, subscriber, status }),
  }));

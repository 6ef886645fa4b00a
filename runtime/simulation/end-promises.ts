import { isStale } from '../../lifecycle/slot-decisions.ts';
import { isSettled, isTerminal } from '../../lifecycle/states.ts';
import { parseLease, type Slot } from '../../schemas/slot.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import { slotKey } from '../records.ts';
import type { Complain, Records } from './promise-names.ts';
import type { WatchedRun } from './watched-run.ts';

/** Rules that keep texts before the task names them: what is given up there may leave one behind. */
const mayLeavePayloads = ['accept-task', 'fetch-context', 'hydrate-task'] as const;

interface Remembered {
  readonly records: Records;
  /** Everything that was published, by id, as text. */
  readonly published: ReadonlyMap<string, string>;
  /** What of it was news, and no replay. */
  readonly news: ReadonlySet<string>;
  /** Ids of terminal facts, by task. */
  readonly lastWords: ReadonlyMap<string, ReadonlySet<string>>;
  /** Keys of writes that hung. */
  readonly hanging: ReadonlySet<string>;
  readonly tasks: () => Iterable<Task>;
  readonly taskOf: (taskId: string) => Task | undefined;
  /** Did a delivery to this rule become a dead letter? What it would have mended is then for whoever redrives it. */
  readonly isDead: (rule: string) => boolean;
  readonly runsOf: (taskId: string) => readonly WatchedRun[];
  readonly settleWithinSeconds: number;
  readonly complain: Complain;
}

/** What must be true when nothing is planned any more. */
export function atTheEnd(remembered: Remembered): void {
  const { records, published, news, lastWords, hanging, tasks, taskOf, isDead, complain } = remembered;
  rejectionsAtTheEnd();
  for (const task of tasks()) taskAtTheEnd(task);
  for (const [key, value] of records) {
    if (key.startsWith('EVENT#')) complain('no lost step', '', `${key} was never acknowledged`);
    const mayBeLeft = hanging.has(key) || mayLeavePayloads.some(isDead);
    if (key.startsWith('PAYLOAD#') && !mayBeLeft) {
      complain('ends', '', `${key} was never deleted: ${String(value).slice(0, 80)}`);
    }
    if (key.startsWith('SLOT#')) slotAtTheEnd(value as Slot);
  }

  /** Who was rejected was told, or the request is a dead letter: a rejection has no due date that would say it again. */
  function rejectionsAtTheEnd(): void {
    if (isDead('accept-task')) return;
    for (const [key, value] of records) {
      if (!key.startsWith('TASK#')) continue;
      const { status, taskId } = value as Task | Rejection;
      if (status === 'REJECTED' && !published.has(`${taskId}#rejected`)) {
        complain('no lost step', taskId, 'was rejected and nobody was told');
      }
    }
  }

  function taskAtTheEnd(task: Task): void {
    const { taskId } = task;
    if (!isTerminal(task) || !isSettled(task)) {
      complain('ends', taskId, `is ${task.status} and not settled at the end`);
      return;
    }
    const lateS = (Date.parse(task.settledAt ?? '') - Date.parse(task.deadlineAt)) / 1000;
    if (lateS > remembered.settleWithinSeconds) complain('ends', taskId, `settled ${lateS} s after its deadline`);
    for (const { facts } of task.history) {
      for (const { id } of facts)
        if (!published.has(id)) complain('no lost step', taskId, `${id} was stored and never published`);
    }
    for (const place of (task.subscribers ?? []).keys()) {
      const id = `${taskId}#notify#${place}`;
      if (!news.has(id) && !isDead('settle-task')) complain('no lost step', taskId, `${id} was never due`);
    }
    const said = [...(lastWords.get(taskId) ?? [])];
    if (said.length !== 1) complain('ends', taskId, `has ${said.length} terminal facts: ${said.join(', ')}`);
    for (const run of remembered.runsOf(taskId)) {
      if (!run.stopped && !isReportedLost(task, run.spec.attempt)) {
        complain('no orphan', taskId, `${run.nativeId} of attempt ${run.spec.attempt} is alive and nobody says so`);
      }
    }
  }

  function isReportedLost({ taskId, history }: Task, attempt: number): boolean {
    return (
      published.has(`${taskId}#attempt-${attempt}#RunOrphaned`) ||
      history.some((entry) => entry.attempt === attempt && entry.facts.some(({ type }) => type === 'RunOrphaned'))
    );
  }

  /** Leases of tasks that are over may be left for whoever needs the place; nobody else holds or waits. */
  function slotAtTheEnd(slot: Slot): void {
    for (const lease of [...Object.keys(slot.waiters), ...Object.keys(slot.holders)]) {
      const { taskId } = parseLease(lease);
      if (!isStale(lease, taskOf(taskId))) complain('slots', taskId, `${lease} is left in ${slotKey(slot.key)}`);
    }
  }
}

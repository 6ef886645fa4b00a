import { earliestDue } from '../../lifecycle/evolve.ts';
import { isSettled } from '../../lifecycle/states.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { Task } from '../../schemas/task.ts';
import type { StoredRecord } from '../ports.ts';
import type { Complain } from './promise-names.ts';

/** By when an alarm that rang too early for a slow write must be set again, in milliseconds. */
const RING_AGAIN_WITHIN_MS = 600_000;

interface Surroundings {
  readonly nowMs: () => number;
  readonly later: (ms: number, work: () => void) => void;
  readonly taskOf: (taskId: string) => Task | undefined;
  readonly complain: Complain;
}

type Rang = BatonEvent<string, { taskId: string; at: string }>;

/** Watches that whatever is due has an alarm that rings for it, or a wake-up under way. */
export function watchAlarms({ nowMs, later, taskOf, complain }: Surroundings) {
  const alarms = new Map<string, Set<string>>();
  /** Wake-ups under way, or dead and to be rung again, by task; and the rows that they are kept in. */
  const ringing = new Map<string, number>();
  const rows = new Set<string>();
  let opening = false;

  return { armed, rang, rowWritten, mustRing, died, reopened };

  function armed(taskId: string, at: string): void {
    alarms.set(taskId, (alarms.get(taskId) ?? new Set()).add(at));
  }

  function rang(event: Envelope): void {
    const { taskId, at } = (event as Rang).detail.data;
    alarms.get(taskId)?.delete(at);
  }

  /** A wake-up is under way from its row to its acknowledgement; one that is dead rings again until it was handled. */
  function rowWritten(key: string, before: unknown, after: unknown): void {
    const { event } = (before ?? after) as { event: Envelope };
    if (event['detail-type'] !== 'AlarmRang' || (before !== undefined && after !== undefined)) return;
    const { taskId } = (event as Rang).detail.data;
    if (after === undefined && !rows.delete(key)) return;
    if (after !== undefined) rows.add(key);
    ringing.set(taskId, (ringing.get(taskId) ?? 0) + (after === undefined ? -1 : 1));
    const task = taskOf(taskId);
    if (after === undefined && task) mustRing(task);
  }

  /** Something is due, and an alarm rings in time for it. */
  function mustRing(task: Task, isLate = false): void {
    if (isSettled(task)) return;
    const due = earliestDue(task);
    if (due === undefined) {
      complain('ends', task.taskId, `${task.status} has nothing due`);
      return;
    }
    if (opening || (ringing.get(task.taskId) ?? 0) > 0) return;
    const inTime = [...(alarms.get(task.taskId) ?? [])].some((at) => at <= due);
    if (inTime) return;
    if (Date.parse(due) > nowMs() || isLate) {
      complain('ends', task.taskId, `${task.status} is due at ${due} and no alarm is set for it`);
      return;
    }
    // The alarm rang before this slow write came: whoever wrote sets it again, or whoever tries again does.
    later(RING_AGAIN_WITHIN_MS, () => {
      const now = taskOf(task.taskId);
      if (now && now.armedAt === task.armedAt && now.version === task.version) mustRing(now, true);
    });
  }

  function died(survivors: readonly StoredRecord[]): void {
    alarms.clear();
    ringing.clear();
    rows.clear();
    // Nobody rings a dead wake-up of an earlier life: the alarms are set from the tasks.
    for (const { key, value } of survivors) if (key.startsWith('EVENT#')) rowWritten(key, undefined, value);
    opening = true;
  }

  function reopened(tasks: Iterable<Task>): void {
    opening = false;
    for (const task of tasks) {
      const at = task.armedAt ?? earliestDue(task);
      if (at && !isSettled(task)) armed(task.taskId, at);
    }
  }
}

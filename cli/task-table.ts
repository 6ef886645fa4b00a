import type { TaskSummary } from '../schemas/task-view.ts';
import { fleetOfSlotKey } from '../schemas/worker.ts';
import { relativeTime } from './duration.ts';
import { placeText } from './fleet-text.ts';
import { type Paint, paintStatus, shown } from './paint.ts';
import { isOver, resultText, stateAgeOf } from './timeline.ts';

/** Tasks as a table, one line each, with a heading. */
export function taskTable(tasks: readonly TaskSummary[], nowMs: number, paint: Paint): string[] {
  return table(
    ['TASK', 'STATUS', 'FOR', 'SUBMITTED', 'COMPUTE', 'REPOSITORY', ''],
    tasks.map((task) => [
      { text: task.taskId },
      { text: task.status, colour: (text) => paintStatus(task.status, paint, text) },
      { text: stateAgeOf(task, nowMs) },
      { text: relativeTime(task.submittedAt, nowMs) },
      { text: task.compute },
      { text: shown(task.repository) },
      { text: remark(task), colour: paint.dim },
    ]),
    paint,
  );
}

export interface Cell {
  readonly text: string;
  readonly colour?: (text: string) => string;
}

/** Columns as wide as their widest cell, two spaces apart, without blanks at the end. */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[], paint: Paint): string[] {
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]?.text.length ?? 0)));
  const line = (cells: readonly Cell[]): string =>
    cells
      .map(({ text, colour }, at) => {
        const isLast = at === cells.length - 1;
        const padded = isLast ? text : text.padEnd(widths[at] ?? 0);
        return colour ? colour(padded) : padded;
      })
      .join('  ')
      .trimEnd();
  return [line(heads.map((text) => ({ text, colour: paint.dim }))), ...rows.map(line)];
}

/** A key says by itself that it has places. */
const inLineFor = (slot: string): string => (fleetOfSlotKey(slot) === undefined ? shown(slot) : placeText(slot));

function remark(task: TaskSummary): string {
  if (task.waiting) return `number ${task.waiting.position} of ${task.waiting.of} in line for ${inLineFor(task.slot)}`;
  if (task.reason) return `${task.reason.code}: ${shown(task.reason.message)}`;
  if (task.result) return resultText(task.result, task.savedWork);
  return !isOver(task) && task.progress ? shown(task.progress.text) : '';
}

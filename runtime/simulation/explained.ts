import { explain } from '../../lifecycle/explain.ts';
import type { ExplainedCause } from '../../schemas/explanation.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Slot } from '../../schemas/slot.ts';
import type { DuePurpose, Task } from '../../schemas/task.ts';
import { runKey, slotKey } from '../records.ts';
import type { Complain, Records } from './promise-names.ts';

/** A task was written: its new state must have an explanation in which nothing is missing. No kind of cause is excused. */
export function mustBeExplained(task: Task, records: Records, complain: Complain): void {
  const [missing] = unexplained(task, records);
  if (missing !== undefined) complain('explained', task.taskId, `${task.status} v${task.version}: ${missing}`);
}

/** What an explanation of this state leaves open; empty when it is whole. */
export function unexplained(task: Task, records: Records): string[] {
  const record = records.get(runKey(task.taskId, task.attempt)) as RunRecord | undefined;
  const told = explain({
    task,
    records: record ? [record] : [],
    slot: records.get(slotKey(task.slotKey)) as Slot | undefined,
    journal: { duplicates: 0, ignored: [] },
    at: task.history.at(-1)?.at ?? task.submittedAt,
  });
  const missing: string[] = [];
  for (const { id, type } of told.unlinked) missing.push(`nothing links ${type} ${id} to what came before`);

  const reached = new Set<number>();
  reach(told.tree, reached);
  for (const { version } of task.history) if (!reached.has(version)) missing.push(`step ${version} is not in the tree`);

  for (const purpose of Object.keys(task.due) as DuePurpose[]) {
    if (!told.due.find((one) => one.purpose === purpose)?.happens) missing.push(`"${purpose}" is due without words`);
  }
  // A step that cannot be made for now: why.
  if ('delay' in task && task.delay && !told.next?.what.includes(task.delay.message))
    missing.push('nothing tells the delay');
  if (!told.standing) missing.push('nothing says what the state means');
  if (told.settled) {
    if (told.next) missing.push('something is said to come after it settled');
  } else if (!told.next?.what || !told.next.who || !told.next.by || !told.next.otherwise) {
    missing.push(`what comes next is ${JSON.stringify(told.next)}`);
  }
  if ('endedAt' in task && !told.end?.detected) missing.push('nothing says who noticed the end');
  for (const { attempt, lost } of told.attemptsMade) {
    const isLast = attempt === task.attempt && task.status !== 'BACKOFF';
    if (!lost && !isLast) missing.push(`nothing says why attempt ${attempt} was lost`);
  }
  return missing;
}

/** The versions of the steps that hang somewhere below. */
function reach(node: ExplainedCause, reached: Set<number>): void {
  if (node.step) reached.add(node.step.version);
  for (const one of node.ledTo) reach(one, reached);
}

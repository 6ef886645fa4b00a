import {
  type Comparison,
  compared,
  type FactsOfTask,
  noFacts,
  type Projection,
  projectionOf,
  stepOf,
  tell,
} from '../../lifecycle/fold.ts';
import { isSettled } from '../../lifecycle/states.ts';
import type { Task } from '../../schemas/task.ts';
import type { ArchiveSlice } from './archive.ts';

/** Differences told at most: who has more has one cause for them. */
export const DIFFERENCES_MAX = 1_000;
/** A record may be behind what was published by one batch of the disk, in milliseconds; a second is far more. */
const DISK_LAG_MS = 1_000;

/** Where the facts come from, what they are compared with, and where the result goes. */
export interface RebuildOver {
  readonly slices: AsyncIterable<ArchiveSlice>;
  /** The live record. */
  recordOf(taskId: string): Promise<Task | undefined>;
  /** All live records. */
  records(): AsyncIterable<Task>;
  keep(projection: Projection): Promise<void>;
  /** When the work began, in milliseconds since the epoch: what moves meanwhile is not judged. */
  readonly beganMs: number;
}

export interface RebuildReport {
  /** Facts that were folded, and the tasks that they tell of. */
  readonly facts: number;
  readonly tasks: number;
  readonly same: number;
  /** Records that are further by steps that say nothing. */
  readonly silent: number;
  /** Tasks that moved while this looked. */
  readonly moved: number;
  /** Records from before the first event of the archive. */
  readonly older: number;
  /** Tasks of which record and facts differ, and how many there are of them. */
  readonly different: number;
  readonly differences: readonly ({ readonly taskId: string } & Comparison)[];
}

/** Folds the facts of an archive into what the records must be, and says where the live records are not that. Writes nothing live. */
export async function rebuild({ slices, recordOf, records, keep, beganMs }: RebuildOver): Promise<RebuildReport> {
  const tasks = new Map<string, FactsOfTask>();
  const counts = { facts: 0, same: 0, silent: 0, moved: 0, older: 0, different: 0 };
  const differences: ({ taskId: string } & Comparison)[] = [];
  let since: string | undefined;
  for await (const { minute, events } of slices) {
    since ??= minute;
    for (const event of events) {
      const taskId = stepOf(event);
      if (taskId === undefined) continue;
      const facts = tasks.get(taskId) ?? noFacts(taskId);
      tell(facts, event);
      tasks.set(taskId, facts);
      counts.facts++;
    }
  }
  for (const facts of tasks.values()) {
    const projection = projectionOf(facts);
    if (projection) await keep(projection);
    judge(facts, projection, await recordOf(facts.taskId));
  }
  for await (const record of records()) if (!tasks.has(record.taskId)) judge(noFacts(record.taskId), undefined, record);
  return { ...counts, tasks: tasks.size, differences };

  function judge(facts: FactsOfTask, projection: Projection | undefined, record: Task | undefined): void {
    const found = compared(projection, record);
    if (found.kind === 'same' || found.kind === 'silent') counts[found.kind]++;
    else if (hasMoved(facts, record)) counts.moved++;
    else if (found.kind === 'facts_missing' && record && (since === undefined || record.submittedAt < since))
      counts.older++;
    else {
      counts.different++;
      if (differences.length < DIFFERENCES_MAX) differences.push({ taskId: facts.taskId, ...found });
    }
  }

  /** Something was said or written since the work began, so the two were not looked at together. */
  function hasMoved({ told }: FactsOfTask, record: Task | undefined): boolean {
    const times = [...told.values()].flatMap((types) => [...types.values()].map(({ at }) => at));
    const written = record
      ? [record.history.at(-1)?.at ?? '', isSettled(record) && 'settledAt' in record ? (record.settledAt ?? '') : '']
      : [];
    return [...times, ...written].some((at) => Date.parse(at) >= beganMs - DISK_LAG_MS);
  }
}

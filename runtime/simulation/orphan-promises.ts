import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Task } from '../../schemas/task.ts';
import type { RunSignal } from '../ports.ts';
import { runKey, taskKey } from '../records.ts';
import { isLie } from './liar.ts';
import type { Complain, Records } from './promise-names.ts';
import type { WatchedRun } from './watched-run.ts';

interface Surroundings {
  readonly records: Records;
  readonly runsOf: (taskId: string) => readonly WatchedRun[];
  readonly complain: Complain;
}

type Outlived = BatonEvent<string, { nativeId?: string }>;

/** Watches who is said to have lived on after its end, and who is not. */
export function watchOrphans({ records, runsOf, complain }: Surroundings) {
  /** Ids of what was said, by run key. */
  const said = new Map<string, Set<string>>();
  /** Runs that lived on and said that they were refused, by run key. */
  const outlived = new Map<string, RunSignal>();
  /** Run keys and native ids of which the liar said so. */
  const lies = new Set<string>();

  return { heard, died, atTheEnd };

  function heard(event: Envelope): void {
    if (event['detail-type'] === 'RunFenced') refused(event);
    if (event['detail-type'] === 'RunOrphaned') orphaned(event as Outlived);
  }

  function refused(event: Envelope): void {
    const { taskId, attempt, nativeId } = (event.detail as { data: RunSignal }).data;
    const key = runKey(taskId, attempt);
    if (isLie(event)) lies.add(`${key}/${nativeId}`);
    else if (livedOn(taskId, nativeId)) outlived.set(key, { taskId, attempt, nativeId });
  }

  /** Under one id per attempt; where its end was not given up, only of a claimant that lived on after it. */
  function orphaned({ id, detail: { metadata, data } }: Outlived): void {
    const { taskId = '' } = metadata;
    const [, told] = /#attempt-(\d+)#/.exec(id) ?? [];
    const attempt = Number(told ?? metadata.attempt);
    const key = runKey(taskId, attempt);
    const ids = (said.get(key) ?? new Set()).add(id);
    said.set(key, ids);
    if (ids.size > 1) complain('no orphan', taskId, `attempt ${attempt} is orphaned twice: ${[...ids].join(', ')}`);
    const task = records.get(taskKey(taskId)) as Partial<Task> | undefined;
    const run = task && 'run' in task ? task.run : undefined;
    // Nobody saw its end: that is what is said then.
    if (told === undefined || (run?.attempt === attempt && run.ended?.proof === 'given_up')) return;
    const { nativeId = '' } = data;
    const record = records.get(key) as RunRecord | undefined;
    if (!record?.closed || record.claim?.nativeId !== nativeId)
      complain('no orphan', taskId, `${nativeId} is said to have outlived attempt ${attempt}, which is not over`);
    if (!livedOn(taskId, nativeId) && !lies.has(`${key}/${nativeId}`))
      complain('no orphan', taskId, `${nativeId} is said to have outlived its end, and has not`);
  }

  function livedOn(taskId: string, nativeId: string): boolean {
    return runsOf(taskId).some((run) => run.nativeId === nativeId && run.livesOn);
  }

  /** What was said of steps that are lost was never said; a lost announcement comes again under its own id. */
  function died(stored: ReadonlySet<string>): void {
    for (const ids of said.values())
      for (const id of ids) if (!stored.has(id) && !id.includes('#attempt-')) ids.delete(id);
  }

  /** People hear of whoever lived on and said that it was refused. */
  function atTheEnd(): void {
    for (const [key, { taskId, nativeId }] of outlived) {
      const { history = [] } = (records.get(taskKey(taskId)) ?? {}) as Partial<Task>;
      const isKnown = history.some(({ attempt, facts }) =>
        facts.some(({ type }) => type === 'RunOrphaned' && runKey(taskId, attempt) === key),
      );
      if (!isKnown && !said.get(key)?.size)
        complain('no orphan', taskId, `${nativeId} lived on after its end, and nobody says so`);
    }
  }
}

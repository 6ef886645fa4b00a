import { runOrphaned } from '../events/run-orphaned.ts';
import type { Task } from '../schemas/task.ts';
import { runOf } from './states.ts';

/** Was it said of this attempt, or will it be when the task settles, that the end of its run was never seen? */
export function isOrphanKnown(task: Task, attempt: number): boolean {
  const run = runOf(task);
  const givenUp = run?.attempt === attempt && run.ended?.proof === 'given_up';
  return (
    givenUp ||
    task.history.some((entry) => entry.attempt === attempt && entry.facts.some(({ type }) => type === runOrphaned.type))
  );
}

/** Says that a run lived on after its back end had told of its end: for people, with an alarm. */
export const outlivedFact = ({
  compute,
  startedBy,
  nativeId,
  attempt,
}: Pick<Task, 'compute'> & { startedBy: string; nativeId: string; attempt: number }) =>
  runOrphaned.of({
    compute,
    startedBy,
    nativeId,
    message: `The back end said that the run of attempt ${attempt} had ended, yet it lived on until it was refused. Look whether it is gone and stop it by hand if not: it may still cost money.`,
  });

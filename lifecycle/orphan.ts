import { runOrphaned } from '../events/run-orphaned.ts';
import type { Task } from '../schemas/task.ts';
import { runningCostOf, runningCostSentence } from './running-cost.ts';
import { runOf } from './states.ts';

/** Was it said of this attempt, or will it be when the task settles, that the end of its run was never seen? */
export function isOrphanKnown(task: Task, attempt: number): boolean {
  const run = runOf(task);
  // Closed before its end was seen: it is being given up, and that is about to be said.
  const givenUp = run?.attempt === attempt && (run.ended ? run.ended.proof === 'given_up' : task.status === 'STOPPING');
  return (
    givenUp ||
    task.history.some((entry) => entry.attempt === attempt && entry.facts.some(({ type }) => type === runOrphaned.type))
  );
}

/** Says that a run lived on after its back end had told of its end: for people, with an alarm. */
export function outlivedFact(
  { compute, history }: Pick<Task, 'compute' | 'history'>,
  { startedBy, nativeId, attempt }: { startedBy: string; nativeId: string; attempt: number },
) {
  const started = history.find((entry) => entry.attempt === attempt && entry.to === 'STARTING');
  const runningCost = runningCostOf(compute, started?.at);
  const told = `The back end said that the run of attempt ${attempt} had ended, yet it lived on until it was refused. Look whether it is gone and stop it by hand if not: it may still cost money.`;
  return runOrphaned.of({
    compute,
    startedBy,
    nativeId,
    message: `${told} ${runningCostSentence(compute, runningCost)}`,
    runningCost,
  });
}

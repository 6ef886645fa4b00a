import { runStopAnswered } from '../events/run-stop-answered.ts';
import { judge, judgeMissing } from '../lifecycle/judge.ts';
import { ignore, type Move, mark } from '../lifecycle/move.ts';
import { isSettled, runOf } from '../lifecycle/states.ts';
import { stopRunOnEcs as rule } from '../rules/stop-run-on-ecs.ts';
import { type Outcome, refused, said } from '../runtime/outcome.ts';
import { looseEvent } from '../runtime/published.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { nativeIdOf, type RunHandle } from '../schemas/run-handle.ts';
import type { Task } from '../schemas/task.ts';

/**
 * Stops the run behind the handle, and every other that was started for the same attempt; where the back end says that one has
 * ended or is unknown, that is judged. A stray run (`startedBy` empty) is stopped alone. Twice is harmless: stopping what stops
 * changes nothing.
 */
export const stopRunOnEcs = react(rule, async (event, { tasks, runs, ecs }) => {
  const { taskId, attempt, correlationId } = subject(event);
  const { startedBy, handle, reason, compute } = event.detail.data;
  const cause = causeOf(event);
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  const outcomes: Outcome[] = [];
  if (handle && startedBy === '') {
    await stopped(handle);
    return outcomes;
  }
  const record = await runs.get(taskId, attempt);
  // A request that comes late must not reach the run of the next attempt.
  const run = runOf(task);
  const known = handle ?? (run?.attempt === attempt ? run.handle : undefined);
  const others = [record?.claim?.nativeId, record?.strayHandle && nativeIdOf(record.strayHandle)];
  const strangers = known !== undefined && others.some((id) => id !== undefined && id !== nativeIdOf(known));
  const asks = !known || (await stopped(known)) !== 'stopping' || strangers;
  if (asks) await askAndJudge(known);
  outcomes.push(await tasks.decide(taskId, cause, (now) => answered(now, attempt)));
  return outcomes;

  async function askAndJudge(stoppedAlready: RunHandle | undefined): Promise<void> {
    const found = await ecs.ask({ startedBy, ...(stoppedAlready ? { handle: stoppedAlready } : {}) });
    for (const one of found) {
      const stops = one.phase !== 'ended' && (!stoppedAlready || one.nativeId !== nativeIdOf(stoppedAlready));
      if (stops) await stopped(one.handle);
      const seen = { id: `${cause.id}#${one.nativeId}#${one.phase}`, type: 'RunAsked' };
      outcomes.push(await tasks.decide(taskId, seen, (now, kept, { at }) => judge(now, kept, one, at)));
    }
    if (found.length > 0) return;
    const missing = { id: `${cause.id}#missing`, type: 'RunAsked' };
    outcomes.push(
      await tasks.decide(taskId, missing, (now, kept, { at, timings }) =>
        judgeMissing(now, kept, { attempt, at, startMissingSeconds: timings.START_MISSING_S }),
      ),
    );
  }

  async function stopped(target: RunHandle) {
    const outcome = await ecs.stop(target, reason.message);
    const fact = runStopAnswered.of({ compute, outcome, nativeId: nativeIdOf(target) });
    const id = `${cause.id}#${nativeIdOf(target)}#RunStopAnswered`;
    outcomes.push(said([looseEvent(fact, { id, taskId, cause, correlationId, at: event.time })]));
    return outcome;
  }
});

/** Counts a stop that the back end answered, which also proves that the request was delivered. */
function answered(task: Task, attempt: number): Move {
  const run = runOf(task);
  if (!run || run.attempt !== attempt || run.ended || isSettled(task)) return ignore('no_run_is_expected');
  return mark({ run: { ...run, stopRequests: (run.stopRequests ?? 0) + 1 } });
}

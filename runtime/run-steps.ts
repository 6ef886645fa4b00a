import { runStopAnswered } from '../events/run-stop-answered.ts';
import type { runStopRequested } from '../events/run-stop-requested.ts';
import { later } from '../lifecycle/evolve.ts';
import { judge, judgeMissing, judgeRefusedStart, judgeUnclaimed } from '../lifecycle/judge.ts';
import { beats } from '../lifecycle/life-signs.ts';
import { ignore, type Move, mark } from '../lifecycle/move.ts';
import { isSettled, runOf } from '../lifecycle/states.ts';
import { askedAgainAt, type Timings } from '../lifecycle/timings.ts';
import type { BatonEvent } from '../schemas/envelope.ts';
import { shortText } from '../schemas/json.ts';
import { nativeIdOf, type RunHandle } from '../schemas/run-handle.ts';
import type { Task } from '../schemas/task.ts';
import { type Outcome, refused, type Said, said } from './outcome.ts';
import type { ComputeBackend, Ports, StartOutcome, StopOutcome } from './ports.ts';
import { looseEvent } from './published.ts';
import { causeOf, subject } from './react.ts';

type StopEvent = BatonEvent & { readonly detail: { readonly data: ReturnType<typeof runStopRequested.of>['data'] } };

/**
 * What reactions of every back end do alike: stop a run, ask about one, take a refusal of a start. Each back end's own reaction names its
 * port, and what is peculiar to it.
 *
 * Stops the run behind the handle, and every other that was started for the same attempt; where the back end says that one has ended or is
 * unknown, that is judged. A stray run (`startedBy` empty) is stopped alone. Twice is harmless: stopping what stops changes nothing.
 */
export async function stopRun(
  event: StopEvent,
  { tasks, runs }: Pick<Ports, 'tasks' | 'runs'>,
  backEnd: ComputeBackend<never>,
): Promise<Outcome | readonly Outcome[]> {
  const { taskId, attempt } = subject(event);
  const { startedBy, handle, reason } = event.detail.data;
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
  const isGone = known !== undefined && (await stopped(known)) !== 'stopping';
  if (!known || isGone || strangers) {
    const asked = { tasks, backEnd, event, startedBy, handle: known, isGone };
    outcomes.push(...(await judgedAnswers(asked, stopsToo(known))));
  }
  outcomes.push(
    await tasks.decide(taskId, cause, (now, _record, { at, timings }) => answered(now, attempt, at, timings)),
  );
  return outcomes;

  async function stopped(target: RunHandle): Promise<StopOutcome> {
    const { outcome, told } = await stopTold(event, backEnd, target, reason.message);
    outcomes.push(told);
    return outcome;
  }

  /** Whatever else lives for the attempt must end as well. */
  function stopsToo(already: RunHandle | undefined) {
    return async (found: RunHandle): Promise<void> => {
      if (!already || nativeIdOf(found) !== nativeIdOf(already)) await stopped(found);
    };
  }
}

/**
 * Asks about an overdue run and judges each answer; where the back end tells nothing, also that nobody has claimed it by now. Twice is harmless: judging the same again changes nothing.
 */
export async function checkRun(
  event: BatonEvent,
  { tasks }: Pick<Ports, 'tasks'>,
  backEnd: ComputeBackend<never>,
): Promise<Outcome | readonly Outcome[]> {
  const { taskId, attempt } = subject(event);
  const task = await tasks.get(taskId);
  const run = task && runOf(task);
  if (!run || run.attempt !== attempt) return refused('no_run_is_expected');
  const { startedBy, handle } = run;
  const outcomes = await judgedAnswers({ tasks, backEnd, event, startedBy, handle });
  if (!beats(task)) return outcomes;
  const unclaimed = { id: `${causeOf(event).id}#unclaimed`, type: 'RunAsked' };
  const judged = await tasks.decide(taskId, unclaimed, (now, record, moment) =>
    judgeUnclaimed(now, record, { attempt, ...moment }),
  );
  return [...outcomes, judged];
}

/** The back end refused a start, for good: judged under a cause of its own, since the start itself is in the history already. */
export const refusedStart = (
  event: BatonEvent,
  { tasks }: Pick<Ports, 'tasks'>,
  attempt: number,
  refusal: Extract<StartOutcome, { outcome: 'refused' }>,
): Promise<Outcome> =>
  tasks.decide(
    subject(event).taskId,
    { id: `${causeOf(event).id}#refused`, type: 'StartRefused' },
    (now, record, { at }) => judgeRefusedStart(now, record, { ...refusal, attempt, at }),
  );

/** How the journal's reason of such a start begins, by which it is counted. */
const PUT_OFF = 'start_is_put_off';

/**
 * Puts a start off for want of what it needs, and says why. Under a cause of its own: it does not prove that the event was taken up, so that
 * the task's alarm says the event again.
 */
export async function putOff(
  event: BatonEvent,
  tasks: Ports['tasks'],
  message: string,
): Promise<Outcome | readonly Outcome[]> {
  const { taskId, version } = subject(event);
  const cause = { id: `${causeOf(event).id}#delayed`, type: 'StartDelayed' };
  const outcome = await tasks.decide(taskId, cause, (now, _record, { at, timings }) => {
    if (now.version !== version) return ignore('task_has_moved_on');
    const since = now.history.at(-1)?.at ?? at;
    return mark({
      due: { step: askedAgainAt({ taskId, since }, at, timings) },
      delay: { at, message: shortText(message) },
    });
  });
  return outcome.kind === 'moved' ? [outcome, refused(shortText(`${PUT_OFF}: ${message}`))] : outcome;
}

/** Stops a run for which nobody waits any more: its task moved on while it was being started. */
export async function stopLate(event: BatonEvent, backEnd: ComputeBackend<never>, handle: RunHandle): Promise<Said> {
  const { taskId } = subject(event);
  const why = `Baton: task ${taskId} moved on before its run ${nativeIdOf(handle)} was known`;
  return (await stopTold(event, backEnd, handle, why)).told;
}

/** Stops, and says what was answered. */
async function stopTold(
  event: BatonEvent,
  backEnd: ComputeBackend<never>,
  handle: RunHandle,
  reason: string,
): Promise<{ outcome: StopOutcome; told: Said }> {
  const { taskId, correlationId } = subject(event);
  const cause = causeOf(event);
  const nativeId = nativeIdOf(handle);
  const outcome = await backEnd.stop(handle, reason);
  const fact = runStopAnswered.of({ compute: handle.backend, outcome, nativeId });
  const id = `${cause.id}#${nativeId}#RunStopAnswered`;
  return { outcome, told: said([looseEvent(fact, { id, taskId, cause, correlationId, at: event.time })]) };
}

interface Asked {
  readonly tasks: Ports['tasks'];
  readonly backEnd: ComputeBackend<never>;
  readonly event: BatonEvent;
  readonly startedBy: string;
  readonly handle: RunHandle | undefined;
  /** A stop has just found nothing behind the handle. */
  readonly isGone?: boolean;
}

/** Asks the back end, and judges what it says of each run, or that it knows none. */
async function judgedAnswers(
  { tasks, backEnd, event, startedBy, handle, isGone = false }: Asked,
  onLiving?: (handle: RunHandle) => Promise<void>,
): Promise<Outcome[]> {
  const { taskId, attempt } = subject(event);
  const cause = causeOf(event);
  const outcomes: Outcome[] = [];
  const found = await backEnd.ask({ startedBy, ...(handle ? { handle } : {}), ...(isGone ? { isGone } : {}) });
  for (const one of found) {
    if (one.phase !== 'ended') await onLiving?.(one.handle);
    const seen = { id: `${cause.id}#${one.nativeId}#${one.phase}`, type: 'RunAsked' };
    outcomes.push(await tasks.decide(taskId, seen, (now, record, { at }) => judge(now, record, one, at)));
  }
  if (found.length > 0) return outcomes;
  const missing = { id: `${cause.id}#missing`, type: 'RunAsked' };
  outcomes.push(
    await tasks.decide(taskId, missing, (now, record, { at, timings }) =>
      judgeMissing(now, record, { attempt, at, startMissingSeconds: timings.START_MISSING_S }),
    ),
  );
  return outcomes;
}

/**
 * Counts a stop that the back end answered, which also proves that the request was delivered. Where the back end tells of no end, it is
 * asked to stop again soon: the answer to that tells.
 */
function answered(task: Task, attempt: number, at: string, timings: Timings): Move {
  const run = runOf(task);
  if (!run || run.attempt !== attempt) return ignore('no_run_is_expected');
  if (run.ended || isSettled(task)) return ignore('end_is_known');
  const purpose = task.status === 'STOPPING' ? 'stop' : 'exit';
  const look = later(at, timings.STOP_LOOK_S);
  const due = task.due[purpose];
  const soon = beats(task) && (due === undefined || look < due) ? { due: { [purpose]: look } } : {};
  return mark({ run: { ...run, stopRequests: (run.stopRequests ?? 0) + 1 }, ...soon });
}

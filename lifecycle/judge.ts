import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runOrphaned } from '../events/run-orphaned.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { RUNNER_EXIT } from '../schemas/exit-codes.ts';
import { because, NEVER_RAN, type Reason, type ReasonCode } from '../schemas/reason.ts';
import { nativeIdOf, type RunHandle } from '../schemas/run-handle.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { ComputeEnd, StopIntent, Task, TaskIn, TaskRun, TaskWithRun, TerminalTask } from '../schemas/task.ts';
import { PAUSES_MAX } from '../schemas/task-request.ts';
import { later } from './evolve.ts';
import { beats, lookAtLife } from './life-signs.ts';
import { type DetectedBy, ignore, type Mark, type Move, mark, type Note, repeat, type Step, step } from './move.ts';
import { runningCostOf, runningCostSentence } from './running-cost.ts';
import { isSettled, runOf, states } from './states.ts';
import { attemptsUsed, type Timings } from './timings.ts';

type Working = TaskIn<'STARTING' | 'RUNNING' | 'FINALIZING'>;

/** What an observation of a run means for its task. Pure: the same for events, answers and every back end. */
export function judge(task: Task, record: RunRecord | undefined, seen: RunObservation, at: string): Move {
  if (seen.attempt > task.attempt) return ignore('of_a_later_attempt');
  const run = runOf(task);
  if (seen.attempt < task.attempt || !run) {
    return seen.phase === 'ended' ? ignore('of_an_attempt_that_is_over') : stopStray(task, seen);
  }
  if (isSettled(task)) return seen.phase === 'ended' ? ignore('task_is_settled') : stopStray(task, seen);
  if (run.endedIds?.includes(seen.nativeId)) {
    if (seen.phase !== 'ended') return ignore('stale');
    return run.ended && task.status !== 'FINALIZING' ? repeat([endNote(task, run.ended)]) : ignore('end_is_known');
  }
  if (seen.sequence !== undefined && seen.sequence < (run.seen?.[seen.nativeId] ?? 0)) return ignore('stale');
  switch (task.status) {
    case 'STARTING':
    case 'RUNNING':
    case 'FINALIZING':
      if (seen.phase === 'lost') return judgeLost(task, record, seen, at);
      return seen.phase === 'ended' ? judgeEnd(task, record, seen, at) : judgeLife(task, record, seen);
    case 'STOPPING':
      return seen.phase === 'ended' ? noteEnd(task, record, seen, at) : judgeUnwanted(task, run, seen);
    case 'COMPLETED':
    case 'FAILED':
    case 'CANCELLED':
    case 'TIMED_OUT':
      if (seen.phase === 'ended') return noteEnd(task, record, seen, at);
      return run.handle ? ignore('the_end_is_awaited') : judgeUnwanted(task, run, seen);
    default:
      return ignore('no_run_is_expected');
  }
}

/** What a stored report means for a task that works. */
export function judgeReport(task: Task, record: RunRecord | undefined, at: string, detectedBy: DetectedBy): Move {
  if (task.status !== 'STARTING' && task.status !== 'RUNNING' && task.status !== 'FINALIZING') {
    return ignore(states[task.status].terminal ? 'task_has_ended' : 'report_is_kept');
  }
  if (!record?.report || record.attempt !== task.attempt) return ignore('no_report_is_stored');
  return reported(task, record, task.run, at, detectedBy);
}

/** The back end knows nothing of a run that should be there. `missing` says for how long it may be invisible. */
export function judgeMissing(
  task: Task,
  record: RunRecord | undefined,
  asked: { attempt: number; at: string; startMissingSeconds: number },
): Move {
  const run = runOf(task);
  const { at, startMissingSeconds } = asked;
  if (task.attempt !== asked.attempt) return ignore('of_another_attempt');
  if (!run || isSettled(task) || run.ended) return ignore('no_run_is_expected');
  const known = isKnown(run, record);
  // A run that has just claimed may be as invisible to questions as one that has just been started.
  const since = Math.max(Date.parse(run.dispatchedAt), Date.parse(record?.claim?.at ?? run.dispatchedAt));
  if ((Date.parse(at) - since) / 1000 < startMissingSeconds) return ignore('start_may_still_show');
  const ended: ComputeEnd = { at, proof: known ? 'proven' : 'never_started' };
  switch (task.status) {
    case 'STARTING':
    case 'RUNNING':
    case 'FINALIZING':
      if (record?.report) return reported(task, record, { ...run, ended }, at, 'alarm');
      return lost(
        task,
        { ...run, ended },
        known
          ? because('compute_gone', 'The back end does not know the run any more.')
          : because('start_lost', 'The back end never knew the run.'),
      );
    case 'STOPPING':
    case 'COMPLETED':
    case 'FAILED':
    case 'CANCELLED':
    case 'TIMED_OUT':
      return mark({ run: { ...run, ended }, notes: [endNote(task, ended)] });
    default:
      return ignore('no_run_is_expected');
  }
}

/**
 * A run was asked about and may stand there, but nobody has claimed it in all the time for that, and its back end will never tell more:
 * it is lost, so that whatever stands there is stopped, proven gone, or given up with an alarm.
 */
export function judgeUnclaimed(
  task: Task,
  record: RunRecord | undefined,
  asked: { attempt: number; at: string; timings: Timings },
): Move {
  if (task.status !== 'STARTING' || task.attempt !== asked.attempt || !beats(task)) return ignore('start_is_known');
  const { life } = lookAtLife(task.run, record, asked.at, asked.timings);
  // Over: the claim was forbidden when it was taken for ended, and that was never written.
  if (record?.claim || (life !== 'silent' && life !== 'over')) return ignore('start_may_still_show');
  const told = `Nobody claimed the run within ${asked.timings.START_CHECK_S} s of its start.`;
  return lost(task, task.run, because('start_lost', told));
}

/** Whether anything shows that the run was started. */
const isKnown = (run: TaskRun, record: RunRecord | undefined): boolean =>
  record?.claim !== undefined || (run.handle !== undefined && isAnswered(run.handle));

/** A handle that is stored before the start proves none, unless it has what only the answer brings. */
function isAnswered(handle: RunHandle): boolean {
  switch (handle.backend) {
    case 'agentcore':
      return false;
    case 'ec2':
      return handle.commandId !== undefined;
    case 'ecs':
      return true;
  }
}
/** Longest pause for want of room, in seconds: tasks that hold the room end within hours. */
const ROOM_PAUSE_MAX_S = 3_600;

/**
 * The back end refused to start the run, for good. With `pauseSeconds` no attempt failed: there was no room, and there may be some then. With
 * `isLeft` the call left something behind, whose end is awaited like that of a run.
 */
export function judgeRefusedStart(
  task: Task,
  record: RunRecord | undefined,
  refused: {
    attempt: number;
    at: string;
    reason: Reason;
    pauseSeconds?: number | undefined;
    isLeft?: true | undefined;
  },
): Move {
  if (task.attempt !== refused.attempt) return ignore('of_another_attempt');
  // An earlier call of the same start may have gone through although its answer was lost.
  if (task.status !== 'STARTING' || isKnown(task.run, record)) return ignore('start_was_answered_already');
  const { at, reason, pauseSeconds, isLeft } = refused;
  const run: TaskRun = isLeft ? task.run : { ...task.run, ended: { at, proof: 'never_started' } };
  if (pauseSeconds === undefined) return lost(task, run, reason);
  // Room that is not there now may not be there for long: each further pause is twice as long.
  const resumeAt = later(at, Math.min(ROOM_PAUSE_MAX_S, pauseSeconds * 2 ** (task.pauses ?? 0)));
  // Where it may not pause any more, it has its attempts.
  return cannotPause(task, resumeAt, reason)
    ? lost(task, run, reason)
    : stopping(task, run, 'paused', reason, resumeAt);
}

/** The end of the compute of a run, said once per attempt. Its id cannot be that of a step's fact, which carries a version there. */
export const endNote = (task: Task, end: ComputeEnd): Note => ({
  id: `${task.taskId}#attempt-${task.attempt}#RunEnded`,
  fact: endFact(task, end),
});

const endFact = (task: Pick<Task, 'compute' | 'status'>, end: ComputeEnd) =>
  runEnded.of({
    compute: task.compute,
    status: task.status,
    proof: end.proof,
    ...(end.exitCode === undefined ? {} : { exitCode: end.exitCode }),
  });

/** Which native identities must be gone before the run counts as ended. */
const identitiesOf = (run: TaskRun, record: RunRecord | undefined): string[] => [
  ...new Set(
    [
      run.handle && nativeIdOf(run.handle),
      record?.claim?.nativeId,
      record?.strayHandle && nativeIdOf(record.strayHandle),
    ].filter((id): id is string => id !== undefined),
  ),
];

/** Once somebody claimed, only the claimant counts; before that the run whose handle is stored; before that any of this attempt. */
function counts(run: TaskRun, record: RunRecord | undefined, seen: RunObservation): boolean {
  if (record?.claim) return record.claim.nativeId === seen.nativeId;
  return run.handle ? nativeIdOf(run.handle) === seen.nativeId : true;
}

const observed = (run: TaskRun, seen: RunObservation): TaskRun => ({
  ...run,
  ...(run.handle ? {} : { handle: seen.handle }),
  ...(seen.sequence === undefined ? {} : { seen: { ...run.seen, [seen.nativeId]: seen.sequence } }),
  ...(seen.phase === 'ended' ? { endedIds: [...(run.endedIds ?? []), seen.nativeId] } : {}),
});

function judgeLife(task: Working, record: RunRecord | undefined, seen: RunObservation): Move {
  if (!counts(task.run, record, seen)) return ignore('duplicate_run');
  const run = observed(task.run, seen);
  if (task.status === 'STARTING' && seen.phase === 'running') return started(task, run, seen.nativeId);
  return task.run.handle ? ignore('nothing_new') : mark({ run });
}

/** Nobody knows whether anything of the run is left: it is stopped, whoever runs it, and the next attempt waits for the proof. */
function judgeLost(task: Working, record: RunRecord | undefined, seen: RunObservation, at: string): Move {
  if (!counts(task.run, record, seen)) return ignore('duplicate_run');
  const run = observed(task.run, seen);
  if (record?.report) return reported(task, record, run, at, 'event');
  return lost(task, run, seen.end?.reason ?? because('compute_gone', 'The back end has given up on the run.'));
}

/** The first sign of life. */
export const started = (task: TaskIn<'STARTING'>, run: TaskRun, nativeId: string): Step =>
  step('run', { run }, [
    runStarted.of({ compute: task.compute, nativeId, ...(run.handle ? { handle: run.handle } : {}) }),
  ]);

function judgeEnd(task: Working, record: RunRecord | undefined, seen: RunObservation, at: string): Move {
  const end = seen.end ?? { kind: 'lost' as const, reason: because('unknown_stop', 'The end came without a word.') };
  const run = observed(task.run, seen);
  if (!counts(task.run, record, seen)) {
    const { handle: _adopted, ...rest } = run;
    return mark({ run: { ...rest, ...(task.run.handle ? { handle: task.run.handle } : {}) } });
  }
  const over = { ...run, ...(allGone(run, record) ? { ended: endOf(end, at) } : {}) };
  if (record?.report) return reported(task, record, over, at, 'event');
  if (end.kind === 'exited' && end.exitCode === RUNNER_EXIT.ok && task.status !== 'FINALIZING') {
    return step('finalize', { run: over, exitCode: 0 }, [runExited.of({ compute: task.compute, exitCode: 0 })]);
  }
  const { fate, reason } = fateOf(end, record);
  return fate === 'lost' ? lost(task, over, reason) : failed(over, reason, 'event');
}

type End = NonNullable<RunObservation['end']>;

const endOf = (end: End, at: string): ComputeEnd => ({
  at,
  proof: NEVER_RAN.has(end.reason.code) ? 'never_started' : 'proven',
  ...(end.exitCode === undefined ? {} : { exitCode: end.exitCode }),
});

const allGone = (run: TaskRun, record: RunRecord | undefined): boolean =>
  identitiesOf(run, record).every((id) => run.endedIds?.includes(id));

/** Exit code of a process that a signal ended is 128 + the signal's number (POSIX shells, ECS). */
const SIGNALLED = 128;

/** What an end without a report means: another chance, or the end of the task. */
export function fateOf(end: End, record: RunRecord | undefined): { fate: 'lost' | 'failed'; reason: Reason } {
  if (end.kind !== 'exited') return { fate: 'lost', reason: end.reason };
  const code = end.exitCode ?? -1;
  const told = `The runner exited with ${code}. ${end.reason.message}`;
  if (!record?.claim) return { fate: 'lost', reason: because('exited_before_claim', told) };
  if (code === RUNNER_EXIT.fenced) return { fate: 'lost', reason: because('fenced', told) };
  if (code === RUNNER_EXIT.unavailable) return { fate: 'lost', reason: because('unreachable', told) };
  if (code > SIGNALLED) return { fate: 'lost', reason: because('killed', told) };
  return { fate: 'failed', reason: because('runner_failed', told) };
}

/** Of what a runner reports: no failure of the agent, which never ran. On ECS the same is said before there is a runner, and is a loss too. */
export const OUTSIDE: ReadonlySet<string> = new Set<ReasonCode>(['secret_unavailable']);

function reported(task: Working, record: RunRecord, run: TaskRun, at: string, detectedBy: DetectedBy): Move {
  const report = record.report;
  if (!report) return ignore('no_report_is_stored');
  if (report.outcome === 'succeeded') {
    return step('complete', { run, result: report.result, detectedBy }, [taskCompleted.of({ result: report.result })]);
  }
  const reason = report.reason ?? because('agent_failed', 'The report gives no reason.');
  const resumeAt = report.retryAfterSeconds === undefined ? undefined : later(at, report.retryAfterSeconds);
  const tooLong = resumeAt === undefined ? undefined : cannotPause(task, resumeAt, reason);
  if (tooLong) return failedAs(tooLong);
  if (resumeAt !== undefined) return stopping(task, run, 'paused', reason, resumeAt);
  if ((task.retryAgentFailure || OUTSIDE.has(reason.code)) && hasAnotherAttempt(task)) return lost(task, run, reason);
  return failedAs(reason);

  function failedAs(why: Reason): Step {
    const result = record.report?.result;
    const savedWork = record.savedWork ?? record.report?.savedWork;
    return step(
      'fail',
      { run, reason: why, ...(result ? { result } : {}), ...(savedWork ? { savedWork } : {}), detectedBy },
      [taskFailed.of({ reason: why, ...(result ? { result } : {}) })],
    );
  }
}

/** Chances that are left after this attempt. */
export const hasAnotherAttempt = (task: Task): boolean => attemptsUsed(task) < task.attempts;

/** A pause must end before the deadline, and there is a bound: a limit that never lifts is a failure. Says so; undefined when it may be. */
function cannotPause({ deadlineAt, pauses = 0 }: Task, resumeAt: string, { message }: Reason): Reason | undefined {
  if (resumeAt >= deadlineAt) {
    return because('wait_too_long', `It would go on at ${resumeAt}, after its deadline at ${deadlineAt}. ${message}`);
  }
  if (pauses < PAUSES_MAX) return undefined;
  return because('wait_too_long', `It has paused ${pauses} times, as often as a task may. ${message}`);
}

export const failed = (run: TaskRun | undefined, reason: Reason, detectedBy: DetectedBy): Step =>
  step('fail', { ...(run ? { run } : {}), reason, detectedBy }, [taskFailed.of({ reason })]);

/** A lost run passes through STOPPING like every other, even when its end is known already. */
export const lost = (task: Working, run: TaskRun, reason: Reason): Step => stopping(task, run, 'lost', reason);

/** Into STOPPING: with a request to stop, or, where the end is known already, with the fact that says so. */
export const stopping = (task: Working, run: TaskRun, intent: StopIntent, reason: Reason, resumeAt?: string): Step =>
  step('stop', { run, intent, reason, ...(resumeAt === undefined ? {} : { resumeAt }) }, [
    run.ended ? endFact({ compute: task.compute, status: 'STOPPING' }, run.ended) : stopFact(task, run, reason),
  ]);

export const stopFact = (task: Task, run: Pick<TaskRun, 'startedBy' | 'handle'>, reason: Reason) =>
  runStopRequested.of({
    compute: task.compute,
    startedBy: run.startedBy,
    ...(run.handle ? { handle: run.handle } : {}),
    reason,
  });

/** In STOPPING or after the end: one more identity is gone; when all are, the run has ended. */
function noteEnd(
  task: TaskWithRun | TerminalTask,
  record: RunRecord | undefined,
  seen: RunObservation,
  at: string,
): Mark | Move {
  const run = runOf(task);
  if (!run) return ignore('no_run_is_expected');
  const next = observed(run, seen);
  if (!allGone(next, record)) return mark({ run: next });
  const ended = endOf(seen.end ?? { kind: 'lost', reason: because('unknown_stop', '') }, at);
  return mark({ run: { ...next, ended }, notes: [endNote(task, ended)] });
}

/** The run is alive although it must end: its handle, seen for the first time, is what stopping was waiting for. */
function judgeUnwanted(task: Task, run: TaskRun, seen: RunObservation): Move {
  if (run.handle) return ignore('the_end_is_awaited');
  const next = observed(run, seen);
  return mark({
    run: next,
    notes: [stopNote(task, next, because('cancelled', 'The task has moved on.'), seen.nativeId)],
  });
}

/** A run of an attempt that is over: stopped on arrival. */
const stopStray = (task: Task, seen: RunObservation): Move =>
  mark({ notes: [stopNote(task, strayRun(seen), because('fenced', 'The attempt is over.'), seen.nativeId)] });

const strayRun = (seen: RunObservation) => ({ startedBy: '', handle: seen.handle as RunHandle });

/** Says that the end of a run was never proven: for people, with an alarm. */
export function orphanFact(task: Task, run: TaskRun, record: RunRecord | undefined) {
  const nativeId = record?.claim?.nativeId ?? (run.handle && nativeIdOf(run.handle));
  const runningCost = runningCostOf(task.compute, run.dispatchedAt);
  const told = `The run of attempt ${run.attempt} was asked to stop ${run.stopRequests ?? 0} times and never seen to end. Look for it and stop it by hand: it may still cost money.`;
  return runOrphaned.of({
    compute: task.compute,
    startedBy: run.startedBy,
    ...(nativeId ? { nativeId } : {}),
    message: `${told} ${runningCostSentence(task.compute, runningCost)}`,
    runningCost,
  });
}

export const stopNote = (
  task: Task,
  run: Pick<TaskRun, 'startedBy' | 'handle'>,
  reason: Reason,
  what: string,
): Note => ({ id: `${task.taskId}#${task.version}#RunStopRequested#${what}`, fact: stopFact(task, run, reason) });

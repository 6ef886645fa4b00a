import { attemptDue } from '../events/attempt-due.ts';
import { runCheckRequested } from '../events/run-check-requested.ts';
import { because } from '../schemas/reason.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { type DuePurpose, duePurposes, type Task, type TaskRun } from '../schemas/task.ts';
import { expireTask } from './cancel.ts';
import { closeStop } from './close-stop.ts';
import { later, unproven } from './evolve.ts';
import { endNote, failed, judgeReport, lost, started, stopNote } from './judge.ts';
import { beats, isAskedAbout, lookAtLife, QUIET_CHECKS } from './life-signs.ts';
import { ignore, type Mark, type Move, mark, type Note } from './move.ts';
import { isSettled, runOf } from './states.ts';
import type { Timings } from './timings.ts';

/**
 * What a wake-up does: says again what has no proof, has the back end asked about what is overdue, and decides what only time
 * can decide. Pure; running it twice says the same again.
 */
export function wake(task: Task, record: RunRecord | undefined, at: string, timings: Timings): Move {
  if (isSettled(task)) return ignore('task_is_settled');
  const due = (Object.entries(task.due) as [DuePurpose, string][]).filter(([, when]) => when <= at).map(([p]) => p);
  if (due.length === 0) return ignore('nothing_is_due');

  if (due.includes('report')) {
    const judged = judgeReport(task, record, at, 'alarm');
    if (judged.kind === 'step') return judged;
    return failed(
      runOf(task),
      because('exited_without_report', 'The runner exited with 0 and left no report.'),
      'alarm',
    );
  }
  if (due.includes('deadline')) {
    const expired = expireTask(task, record, at);
    if (expired.kind === 'step') return expired;
  }
  // A loss was decided and its end is known, but nobody closed it: the fact that drives this was lost.
  if (task.status === 'STOPPING' && task.run.ended && due.includes('stop')) {
    return closeStop(task, record, at, timings, 'alarm');
  }
  // A report that is stored says more than silence.
  if ((due.includes('progress') || due.includes('life')) && record?.report) {
    const judged = judgeReport(task, record, at, 'alarm');
    if (judged.kind === 'step') return judged;
  }
  // Nothing is taken for a stall without a look at what the runner last wrote.
  if (task.status === 'RUNNING' && due.includes('progress') && record?.firstOutputAt === undefined) {
    const told = `The agent said nothing within ${task.firstOutputSeconds ?? 0} s.`;
    return lost(task, task.run, because('stalled', told));
  }
  const living = due.includes('life') ? lifeStep(task, record, at, timings) : undefined;
  if (living) return living;
  const run = runOf(task);
  if (run && !run.ended && due.includes('proof') && mayGiveUp(run, due)) {
    return giveUp(task, run, record, at, timings);
  }
  const done = due.map((purpose) => overdue(task, record, purpose, at, timings));
  return due.every((purpose) => SAYS_NOTHING_AGAIN.has(purpose))
    ? merge(...done)
    : merge(repeatUnproven(task), ...done);
}

/**
 * What signs of life decide: the claim of a run whose word was lost is its first one; a claimant whose signs have not changed for too long
 * is lost, and stopped. Nobody who has not claimed is judged by silence: the back end is asked about the start.
 */
function lifeStep(task: Task, record: RunRecord | undefined, at: string, timings: Timings): Move | undefined {
  if ((task.status !== 'STARTING' && task.status !== 'RUNNING') || !beats(task)) return undefined;
  const { life, seen } = lookAtLife(task.run, record, at, timings);
  const run = { ...task.run, life: seen };
  // A start that nobody claimed is asked about; a run that worked without a claim cannot be.
  if (life === 'silent' && (record?.claim || task.status === 'RUNNING')) {
    const told = `The run left no sign of life for ${timings.HEARTBEAT_SILENCE_S} s; its log may say why.`;
    return lost(task, run, because('no_heartbeat', told));
  }
  return task.status === 'STARTING' && record?.claim ? started(task, run, record.claim.nativeId) : undefined;
}

/** How often giving up is put off while no back end answers a stop: then the alarm is worth more than another try. */
const PROOF_WAITS_MAX = 5;

/** Giving up needs a stop that was answered and had its time: one that is due at the same moment goes first. */
const mayGiveUp = (run: TaskRun, due: readonly DuePurpose[]): boolean =>
  (run.proofWaits ?? 0) >= PROOF_WAITS_MAX ||
  ((run.stopRequests ?? 0) > 0 && !due.includes('stop') && !due.includes('exit'));

/**
 * Alarms that belong to the healthy path of runs that beat. They leave what has no proof to the others: a look is followed by many, and a
 * run that is stopped after its end by the settling of its task.
 */
const SAYS_NOTHING_AGAIN: ReadonlySet<DuePurpose> = new Set(['life', 'exit', 'stop']);

/** Everything without proof is said again. It is no proof of itself: this handler may die between its write and its publishing. */
const repeatUnproven = (task: Task): Mark => mark({ again: unproven(task) });

/** Purposes that this version does not know. */
export const unknownPurposes = (task: Task): string[] => Object.keys(task.due).filter(isUnknown);

const isUnknown = (purpose: string): boolean => !(duePurposes as readonly string[]).includes(purpose);

function overdue(task: Task, record: RunRecord | undefined, purpose: DuePurpose, at: string, timings: Timings): Mark {
  const next = (seconds: number) => ({ [purpose]: later(at, seconds) });
  // Of a newer version, which runs beside this one or will again: left to it.
  if (isUnknown(purpose)) return mark({ due: next(timings.STEP_RETRY_S) });
  const run = runOf(task);
  switch (purpose) {
    case 'step':
      return mark({ due: next(timings.STEP_RETRY_S) });
    case 'queue':
      return mark({ due: next(timings.QUEUE_CHECK_S) });
    case 'settle':
      return mark({ due: next(timings.SETTLE_RETRY_S), notes: run?.ended ? [endNote(task, run.ended)] : [] });
    case 'backoff':
      return mark({
        due: next(timings.STEP_RETRY_S),
        notes: [
          { id: `${task.taskId}#${task.version}#AttemptDue`, fact: attemptDue.of({ attempt: task.attempt + 1 }) },
        ],
      });
    case 'life':
      if (run && isAskedAbout(task) && task.status === 'RUNNING') {
        const due = next(QUIET_CHECKS * timings.START_CHECK_S);
        return mark({ due, notes: [checkNote(task, run, purpose, at)] });
      }
      if (!run || !beats(task)) return mark({ due: { life: null } });
      return mark({
        due: next(timings.LIFE_LOOK_S),
        run: { ...run, life: lookAtLife(run, record, at, timings).seen },
      });
    case 'start':
      return mark({ due: next(timings.START_CHECK_S), notes: run ? [checkNote(task, run, purpose, at)] : [] });
    case 'stop':
    case 'exit':
      if (!run || run.ended) return mark({ due: { [purpose]: null } });
      return mark({
        due: next(timings.STOP_RETRY_S),
        notes: [stopNote(task, run, because('cancelled', 'The run must end.'), at)],
      });
    case 'proof':
      if (!run || run.ended) return mark({ due: { proof: null } });
      return mark({
        due: next(timings.STOP_RETRY_S / 2),
        run: { ...run, proofWaits: (run.proofWaits ?? 0) + 1 },
        notes: [stopNote(task, run, because('cancelled', 'The run must end.'), at)],
      });
    case 'deadline':
      return mark({ due: { deadline: null } });
    case 'report':
      return mark({ due: { report: null } });
    case 'progress':
      return mark({ due: { progress: null } });
  }
}

/** Nobody could prove the end of the run in time: the task goes on without it, and a fact with an alarm says so. */
function giveUp(task: Task, run: TaskRun, record: RunRecord | undefined, at: string, timings: Timings): Move {
  const ended = { at, proof: 'given_up' as const };
  const given = { ...run, ended };
  if (task.status === 'STOPPING') return closeStop({ ...task, run: given }, record, at, timings, 'alarm');
  return mark({ due: { proof: null, exit: null }, run: given, notes: [endNote(task, ended)] });
}

const checkNote = (task: Task, run: TaskRun, purpose: DuePurpose, at: string): Note => ({
  id: `${task.taskId}#${task.version}#RunCheckRequested#${at}`,
  fact: runCheckRequested.of({ compute: task.compute, startedBy: run.startedBy, purpose }),
});

function merge(...marks: readonly Mark[]): Mark {
  const run = marks.findLast((one) => one.run)?.run;
  return mark({
    due: Object.assign({}, ...marks.map((one) => one.due ?? {})),
    ...(run ? { run } : {}),
    notes: marks.flatMap((one) => one.notes),
    again: marks.flatMap((one) => one.again ?? []),
    proven: marks.flatMap((one) => one.proven ?? []),
  });
}

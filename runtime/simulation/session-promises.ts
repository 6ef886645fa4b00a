import { beats, isAskedAbout } from '../../lifecycle/life-signs.ts';
import { isSettled, isTerminal, runOf } from '../../lifecycle/states.ts';
import type { Timings } from '../../lifecycle/timings.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Task } from '../../schemas/task.ts';
import { PAUSES_MAX } from '../../schemas/task-request.ts';
import { runKey } from '../records.ts';
import { QUOTA_PAUSE_S } from '../session-backend.ts';
import type { Complain, Records } from './promise-names.ts';
import type { SessionBody } from './simulated-agentcore.ts';
import type { WatchedRun } from './watched-run.ts';

/**
 * By when a death must be known, counted from the last sign that reached the record, as a part of the time that looks and silence take
 * together: 120 s on AWS. The alarm clock rings in time here, and calls take milliseconds.
 */
const KNOWN_WITHIN_SHARE = 1.2;
/** By when a session must be told to stop whose task has ended, beyond the time that its runner has to leave, in milliseconds. */
const STOPPED_WITHIN_MS = 60_000;
/** How old the question may be after which a session is stopped: it may have claimed meanwhile, in milliseconds. */
const ASKED_BEFORE_MS = 120_000;
/** By when an invocation that was under way must have come, once its task has moved on, in milliseconds. */
const UNDER_WAY_MS = 300_000;

interface Surroundings {
  readonly records: Records;
  readonly nowMs: () => number;
  readonly later: (ms: number, work: () => void) => void;
  readonly timings: Timings;
  readonly isCalm: boolean;
  readonly bodies: () => readonly SessionBody[];
  readonly taskOf: (taskId: string) => Task | undefined;
  readonly complain: Complain;
}

/** Watches runs that are known by their signs of life alone, and the sessions that they run in. */
export function watchSessions({ records, nowMs, later, timings, isCalm, bodies, taskOf, complain }: Surroundings) {
  /** The last sign of each run, and when it reached the record, by run key. */
  const signs = new Map<string, { readonly sign: string; readonly atMs: number }>();
  const unsure = new Set<string>();
  /** Bodies that claimed, and addresses that were invoked, by run key. */
  const workers = new Map<string, string>();
  const addresses = new Map<string, string>();
  /** Attempts whose session was told to stop, by run key. */
  const stops = new Set<string>();
  /** When somebody was last told that there is no such session, by its id. */
  const notFoundMs = new Map<string, number>();
  /** Since when nobody may claim any more, by run key: a container that is made then is turned away. */
  const barredMs = new Map<string, number>();
  const silenceMs = timings.HEARTBEAT_SILENCE_S * 1_000;
  const knownWithinMs = (timings.HEARTBEAT_SILENCE_S + timings.LIFE_LOOK_S) * 1_000 * KNOWN_WITHIN_SHARE;

  return { asked, stopAsked, notFound, mayStop, claimed, taskWritten, runWritten, died };

  function broken(taskId: string, message: string): void {
    complain('signs of life', taskId, message);
  }

  /** Every start of an attempt reaches the same session, and only while its task may wait for it. */
  function asked(address: string, { taskId, attempt }: WatchedRun['spec']): void {
    const key = runKey(taskId, attempt);
    const first = addresses.get(key) ?? address;
    addresses.set(key, first);
    if (first !== address) broken(taskId, `attempt ${attempt} was started as ${first} and as ${address}`);
    const task = taskOf(taskId);
    const movedOn = task?.history.find((entry) => entry.attempt > attempt || entry.version > startedIn(task));
    const isLong = movedOn !== undefined && nowMs() - Date.parse(movedOn.at) > UNDER_WAY_MS;
    if (isLong) broken(taskId, `attempt ${attempt} is started although its task has moved on at ${movedOn.at}`);

    function startedIn({ history }: Task): number {
      return history.findLast((entry) => entry.attempt === attempt && entry.to === 'STARTING')?.version ?? Infinity;
    }
  }

  /** The agent of an attempt works once, whatever its session is called. */
  function claimed(key: string, taskId: string, body: string): void {
    const first = workers.get(key) ?? body;
    workers.set(key, first);
    if (first !== body) broken(taskId, `${body} works for an attempt for which ${first} did`);
  }

  function stopAsked({ spec }: SessionBody): void {
    stops.add(runKey(spec.taskId, spec.attempt));
  }

  function notFound(sessionId: string): void {
    notFoundMs.set(sessionId, nowMs());
  }

  /** Who did not answer is stopped, and who claimed after somebody had asked whether anybody did. */
  function mayStop({ unheardOf, claimedAtMs }: SessionBody): boolean {
    return unheardOf || (claimedAtMs !== undefined && nowMs() - claimedAtMs < ASKED_BEFORE_MS);
  }

  /** What was not on disk is lost: which signs are left is seen at the next write of each. */
  function died(): void {
    for (const key of signs.keys()) unsure.add(key);
  }

  function runWritten(record: RunRecord): void {
    const { taskId, attempt, claim, heartbeatAt, confirmedAt, savedWork, report } = record;
    const task = taskOf(taskId);
    const key = runKey(taskId, attempt);
    if (record.noClaim && !barredMs.has(key)) barredMs.set(key, nowMs());
    if (!task || !beats(task) || !claim) return;
    // What it says by events may come when it is long dead.
    const sign = JSON.stringify([claim, heartbeatAt, confirmedAt, savedWork, report]);
    if (signs.get(key)?.sign === sign) return;
    // After a death nobody knows how old the first one is.
    const seen = { sign, atMs: unsure.delete(key) ? 0 : nowMs() };
    signs.set(key, seen);
    if (isCalm) later(knownWithinMs, () => mustBeKnown(taskId, attempt, seen));
  }

  /** Nothing came since: then the attempt does not go on as if it lived. */
  function mustBeKnown(taskId: string, attempt: number, last: { readonly atMs: number }): void {
    const task = taskOf(taskId);
    if (signs.get(runKey(taskId, attempt)) !== last || task?.attempt !== attempt) return;
    if (task.status !== 'STARTING' && task.status !== 'RUNNING') return;
    broken(
      taskId,
      `attempt ${attempt} is ${task.status} ${(nowMs() - last.atMs) / 1_000} s after its last sign of life`,
    );
  }

  function taskWritten(before: Task | undefined, after: Task): void {
    const run = runOf(after);
    const { taskId, attempt } = after;
    if (!beats(after)) {
      if ((after.due.life !== undefined && !isAskedAbout(after)) || run?.life)
        broken(taskId, `runs on ${after.compute} and is looked at for life`);
      return;
    }
    if (after.status === 'RUNNING' && before?.status !== 'RUNNING' && !recordOf(after)?.claim)
      broken(taskId, `attempt ${attempt} is RUNNING and nobody has claimed it: its silence would mean nothing`);
    if (after.status === 'STOPPING' && before?.status !== 'STOPPING') stopped(after);
    if (isTerminal(after) && before && !isTerminal(before) && isCalm) leaves(after);
    if (run?.ended?.proof === 'given_up' && !(before && runOf(before)?.ended)) givenUp(after);
    if (isSettled(after) && !(before && isSettled(before)) && run?.attempt === attempt) settled(after);
  }

  function stopped(task: Task): void {
    if (task.status !== 'STOPPING') return;
    const { taskId, attempt, reason, history } = task;
    if (reason.code === 'no_capacity' && task.intent === 'lost' && mayPause(task))
      broken(taskId, 'lost an attempt because there was no room, although it could have paused');
    if (reason.code !== 'no_heartbeat') return;
    const last = signs.get(runKey(taskId, attempt));
    const atMs = Date.parse(history.at(-1)?.at ?? '');
    if (!recordOf(task)?.claim) broken(taskId, `attempt ${attempt} is lost for its silence before it said anything`);
    else if (last && last.atMs <= atMs && atMs - last.atMs < silenceMs)
      broken(taskId, `attempt ${attempt} is lost for a silence of ${(atMs - last.atMs) / 1_000} s`);
  }

  /** A session costs as long as it is there: it does not wait for its time-out. */
  function leaves({ taskId, attempt }: Task): void {
    later(timings.LAST_WORD_GRACE_S * 1_000 + STOPPED_WITHIN_MS, () => {
      const task = taskOf(taskId);
      if (!task || !runOf(task) || isSettled(task) || stops.has(runKey(taskId, attempt))) return;
      if (bodiesOf(task).some(({ phase }) => phase === 'up'))
        broken(taskId, `the session of attempt ${attempt} is not stopped although its task is ${task.status}`);
    });
  }

  /** People are called for what may live, not for what is gone. */
  function givenUp(task: Task): void {
    const own = bodiesOf(task);
    if (isCalm && own.length > 0 && own.every(({ phase }) => phase === 'gone'))
      broken(task.taskId, `attempt ${task.attempt} was given up although its session is gone`);
  }

  /** Somebody was told that it is gone; a container that was made after that works for nobody, and ends by its time-out. */
  function settled(task: Task): void {
    const ended = runOf(task)?.ended;
    if (!ended || ended.proof === 'given_up') return;
    const barred = barredMs.get(runKey(task.taskId, task.attempt)) ?? Number.POSITIVE_INFINITY;
    for (const { phase, madeAtMs, nativeId, number } of bodiesOf(task)) {
      const knownGone = notFoundMs.get(nativeId) ?? Number.POSITIVE_INFINITY;
      if (phase !== 'gone' && madeAtMs < Math.min(knownGone, ended.proof === 'never_started' ? barred : knownGone))
        broken(task.taskId, `settled while ${nativeId}/${number} is ${phase}`);
    }
  }

  function recordOf({ taskId, attempt }: Task): RunRecord | undefined {
    return records.get(runKey(taskId, attempt)) as RunRecord | undefined;
  }

  function bodiesOf({ taskId, attempt }: Task): readonly SessionBody[] {
    return bodies().filter(({ spec }) => spec.taskId === taskId && spec.attempt === attempt);
  }
}

/** Pauses are bounded, and each is twice as long as the one before, up to an hour; one that would end after the deadline is none. */
function mayPause({ pauses = 0, history, deadlineAt }: Task): boolean {
  const seconds = Math.min(3_600, QUOTA_PAUSE_S * 2 ** pauses);
  return pauses < PAUSES_MAX && Date.parse(history.at(-1)?.at ?? '') + seconds * 1_000 < Date.parse(deadlineAt);
}

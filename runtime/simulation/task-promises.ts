import { states } from '../../lifecycle/states.ts';
import { awsTimings, embeddedTimings } from '../../lifecycle/timings.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import { nativeIdOf } from '../../schemas/run-handle.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { leaseOf, type Slot } from '../../schemas/slot.ts';
import {
  type HistoryEntry,
  type Rejection,
  type StopIntent,
  type Task,
  type TaskRun,
  task as taskSchema,
} from '../../schemas/task.ts';
import { PAUSES_MAX } from '../../schemas/task-request.ts';
import { runKey, slotKey } from '../records.ts';
import type { Complain, PromiseName, Records } from './promise-names.ts';
import { isClaimant, type WatchedRun } from './watched-run.ts';

/** Largest task record in bytes of JSON. */
const RECORD_MAX_BYTES = 32 * 1024;

/** By when a waiter that was given a slot must have heard of it, in milliseconds: its own due date says it again. */
const GRANT_HEARD_WITHIN_MS = 7_200_000;

interface Surroundings {
  readonly records: Records;
  readonly complain: Complain;
  /** Run keys of attempts that pushed. */
  readonly pushes: ReadonlySet<string>;
  /** When the agent's first word was kept, by run key. */
  readonly firstWords: ReadonlyMap<string, number>;
  readonly runsOf: (taskId: string) => readonly WatchedRun[];
}

/** What no write of a task record may do. */
export function taskWritten(before: Task | Rejection | undefined, after: Task | Rejection, around: Surroundings): void {
  const broken = (promise: PromiseName, message: string): void => around.complain(promise, after.taskId, message);
  if (after.status === 'REJECTED') {
    if (before) broken('ends', `a rejection was written over ${before.status}`);
    return;
  }
  if (before?.status === 'REJECTED') {
    broken('ends', 'a task was written over its rejection');
    return;
  }
  if (before?.version !== after.version) {
    const valid = taskSchema.safeParse(after);
    if (!valid.success) broken('no lost step', `the record of ${after.status} is not valid: ${valid.error.message}`);
  }
  if (!before) {
    if (after.version !== 1 || after.status !== 'SUBMITTED') broken('ends', `began as ${after.status}`);
    return;
  }
  if (after.version === before.version) {
    if (after.status !== before.status || after.attempt !== before.attempt)
      broken('ends', `became ${after.status} without a step`);
  } else {
    if (JSON.stringify(after).length > RECORD_MAX_BYTES) broken('ends', 'the record is larger than 32 KB');
    stepped(before, after, around);
  }
  historyKept(before, after, broken);
  if ('run' in before && before.run && 'run' in after && after.run) runKept(before.run, after.run, broken);
  if (after.deadlineAt !== before.deadlineAt) broken('ends', `the deadline moved to ${after.deadlineAt}`);
  if (states[before.status].terminal) endKept(before, after, broken);
  if ('settledAt' in after && after.settledAt && !('settledAt' in before && before.settledAt)) settled(after, around);
}

type Say = (promise: PromiseName, message: string) => void;

function stepped(before: Task, after: Task, around: Surroundings): void {
  const broken: Say = (promise, message) => around.complain(promise, after.taskId, message);
  if (after.version !== before.version + 1) broken('ends', `went from version ${before.version} to ${after.version}`);
  const entry = after.history.at(-1);
  const row = transitions[entry?.transition as keyof typeof transitions];
  if (!entry || !row || entry.version !== after.version) {
    broken('no lost step', `${after.status} has no entry`);
    return;
  }
  if (!(row.from as readonly string[]).includes(before.status) || row.to !== after.status) {
    broken('ends', `"${entry.transition}" led from ${before.status} to ${after.status}`);
  }
  if (before.status === 'STOPPING') stopClosed(before, after, entry, around);
  if (
    before.status === 'STOPPING' &&
    before.intent === 'cancelled' &&
    after.status !== 'CANCELLED' &&
    after.status !== 'STOPPING'
  ) {
    broken('ends', `a cancelled task ended as ${after.status}`);
  }
  if (after.attempt !== before.attempt) nextAttempt(before, after, around);
  if (after.status === 'BACKOFF') backedOff(before, after, entry, around);
  if (after.status === 'STOPPING' && before.status !== 'STOPPING') stopped(before, after, entry, around);
  const mustExpire = !states[after.status].terminal && (after.status !== 'STOPPING' || !isHard(after.intent));
  if (mustExpire && after.due.deadline !== after.deadlineAt)
    broken('ends', `${after.status} does not end by its deadline`);
  if (after.status === 'COMPLETED') completed(after, around);
  if (after.status === 'ADMITTED') {
    const slot = around.records.get(slotKey(after.slotKey)) as Slot | undefined;
    if (!slot?.holders[leaseOf(after.taskId, after.attempt)]) broken('slots', 'admitted without a slot');
  }
  if (before.status === 'QUEUED' && states[after.status].terminal) leftTheLine(before, after, around);
}

/** Leaving STOPPING needs proof, or a fact that says that there is none. */
function stopClosed(before: Task, after: Task, entry: HistoryEntry, { records, complain, runsOf }: Surroundings): void {
  if (after.status === 'STOPPING') return;
  const record = records.get(runKey(before.taskId, before.attempt)) as RunRecord | undefined;
  if (!record?.closed)
    complain('one attempt counts', before.taskId, `${after.status} while attempt ${before.attempt} is open`);
  if (entry.facts.some(({ type }) => type === 'RunOrphaned')) return;
  for (const run of runsOf(before.taskId)) {
    if (run.spec.attempt === before.attempt && !run.stopped && isClaimant(run, record)) {
      complain(
        'one attempt counts',
        before.taskId,
        `${after.status} while ${run.nativeId} works on attempt ${before.attempt}`,
      );
    }
  }
}

function nextAttempt(before: Task, after: Task, { records, complain }: Surroundings): void {
  if (after.attempt !== before.attempt + 1)
    complain('one attempt counts', after.taskId, `attempt ${after.attempt} after ${before.attempt}`);
  const pauses = after.pauses ?? 0;
  if (after.attempt > after.attempts + pauses || pauses > PAUSES_MAX)
    complain('one attempt counts', after.taskId, `attempt ${after.attempt} of ${after.attempts} and ${pauses} pauses`);
  const since = before.history.at(-1);
  const due = since && soonest(before, since);
  if (due !== undefined && Date.parse(after.history.at(-1)?.at ?? '') < due)
    complain('one attempt counts', after.taskId, `attempt ${after.attempt} came before its time`);
  const record = records.get(runKey(before.taskId, before.attempt)) as RunRecord | undefined;
  if (!record?.closed)
    complain('one attempt counts', after.taskId, `attempt ${after.attempt} while ${before.attempt} is open`);
}

const isHard = (intent: StopIntent): boolean => intent === 'cancelled' || intent === 'timed_out';

/** When the attempt after this end may begin at the soonest, in milliseconds: after half of its doubled wait, or when the limit lifts. */
function soonest(task: Task, since: HistoryEntry): number | undefined {
  const lost = since.facts.find(({ type }) => type === 'RunLost')?.data as { nextAttemptAt?: string } | undefined;
  return task.status === 'BACKOFF' && lost?.nextAttemptAt ? Date.parse(lost.nextAttemptAt) : undefined;
}

/** An attempt is over and another is allowed: when, and whether it should be. */
function backedOff(before: Task, after: Task, entry: HistoryEntry, { records, complain }: Surroundings): void {
  if (before.status !== 'STOPPING' || after.status !== 'BACKOFF') return;
  const broken = (message: string): void => complain('one attempt counts', after.taskId, message);
  const report = (records.get(runKey(before.taskId, before.attempt)) as RunRecord | undefined)?.report;
  if (report?.outcome === 'succeeded') broken(`attempt ${before.attempt} succeeded and is tried again`);
  if (report?.outcome === 'failed' && report.retryAfterSeconds === undefined && !after.retryAgentFailure)
    broken(`the agent of attempt ${before.attempt} failed by itself, and nobody asked for another`);
  const used = after.attempt - (after.pauses ?? 0);
  const paused = before.intent === 'paused';
  if (paused !== ((after.pauses ?? 0) === (before.pauses ?? 0) + 1)) broken('the pauses were not counted');
  if (!paused && used >= after.attempts) broken(`all ${after.attempts} attempts are used and another is allowed`);
  const waitMs = Date.parse(after.due.backoff ?? '') - Date.parse(entry.at);
  const [least, most] = paused
    ? [Date.parse(before.resumeAt ?? '') - Date.parse(entry.at), Number.POSITIVE_INFINITY]
    : waits[used > 1 ? 'later' : 'first'];
  if (!(waitMs >= least && waitMs <= most)) broken(`attempt ${after.attempt + 1} is due after ${waitMs} ms`);
}

/** Waits before the second attempt and before later ones, in milliseconds, of whichever timings are in use: see `lifecycle/timings.ts`. */
const waits = {
  first: [embeddedTimings.BACKOFF_FIRST_S * 500, awsTimings.BACKOFF_FIRST_S * 1_000],
  later: [embeddedTimings.BACKOFF_FIRST_S * 1_000, awsTimings.BACKOFF_MAX_S * 1_000],
} as const;

/** A run is told to end: for a reason that holds. */
function stopped(
  before: Task,
  after: Task,
  entry: HistoryEntry,
  { records, complain, firstWords }: Surroundings,
): void {
  if (after.status !== 'STOPPING') return;
  const broken = (message: string): void => complain('one attempt counts', after.taskId, message);
  const key = runKey(after.taskId, after.attempt);
  if (after.intent === 'paused') {
    if (after.resumeAt === undefined || after.resumeAt >= after.deadlineAt) broken('pauses beyond its deadline');
    const report = (records.get(key) as RunRecord | undefined)?.report;
    // A back end that has no room, or takes no more just then, asks for it too, and one that cannot reach the worker.
    const isFull =
      after.compute !== 'ecs' && ['no_capacity', 'start_throttled', 'worker_unreachable'].includes(after.reason.code);
    if (report?.retryAfterSeconds === undefined && !isFull) broken('pauses and nobody asked for it');
  }
  if (after.reason.code !== 'stalled') return;
  const word = firstWords.get(key);
  const runsSince = before.history.findLast(({ to }) => to === 'RUNNING')?.at ?? '';
  const silentS = (Date.parse(entry.at) - Date.parse(runsSince)) / 1_000;
  if (after.firstOutputSeconds === undefined) broken('was stopped for its silence, which nobody bounds');
  else if (word !== undefined && word < Date.parse(entry.at))
    broken('was stopped for its silence after its first word');
  else if (silentS < after.firstOutputSeconds) broken(`was stopped for a silence of ${silentS} s`);
}

function completed(task: Task, { records, complain, pushes }: Surroundings): void {
  if (task.status !== 'COMPLETED') return;
  const key = runKey(task.taskId, task.attempt);
  const record = records.get(key) as RunRecord | undefined;
  if (record?.report?.outcome !== 'succeeded')
    complain('one attempt counts', task.taskId, 'COMPLETED without a report of success');
  if (task.result.commit !== null && !pushes.has(key))
    complain('one attempt counts', task.taskId, 'COMPLETED with a commit that nobody pushed');
}

/** Who leaves the line without having had a slot must have been in it, with all places taken. */
function leftTheLine(before: Task, after: Task, { records, complain }: Surroundings): void {
  const slot = records.get(slotKey(before.slotKey)) as Slot | undefined;
  const lease = leaseOf(before.taskId, before.attempt);
  const grant = slot?.holders[lease]?.grant;
  if (grant && Date.parse(after.history.at(-1)?.at ?? '') - Date.parse(grant.at) > GRANT_HEARD_WITHIN_MS) {
    complain('slots', before.taskId, `${lease} was given a slot at ${grant.at} and never heard of it`);
  }
  if (!slot?.holders[lease] && !slot?.waiters[lease])
    complain('slots', before.taskId, `${lease} was QUEUED and not in the line`);
}

function historyKept(before: Task, after: Task, broken: Say): void {
  for (const [index, old] of before.history.entries()) {
    const now = after.history[index];
    if (
      !now ||
      now.version !== old.version ||
      now.to !== old.to ||
      now.cause.id !== old.cause.id ||
      now.at !== old.at
    ) {
      broken('no lost step', `entry ${old.version} of the history changed`);
      continue;
    }
    for (const [place, fact] of old.facts.entries()) {
      const kept = now.facts[place];
      const isShrunk = kept?.data === undefined && now.proven;
      if (kept?.id !== fact.id || (!isShrunk && JSON.stringify(kept.data) !== JSON.stringify(fact.data))) {
        broken('no lost step', `${fact.id} changed in the history`);
      }
    }
    if (old.proven && !now.proven) broken('no lost step', `entry ${old.version} lost its proof`);
  }
  if (after.history.length - before.history.length !== after.version - before.version) {
    broken('no lost step', 'versions and entries do not rise together');
  }
}

function runKept(before: TaskRun, after: TaskRun, broken: Say): void {
  if (before.attempt !== after.attempt) return;
  for (const [id, version] of Object.entries(before.seen ?? {})) {
    if ((after.seen?.[id] ?? 0) < version) broken('native order', `went back to before version ${version} of ${id}`);
  }
  for (const id of before.endedIds ?? []) {
    if (!after.endedIds?.includes(id)) broken('native order', `${id} had ended and lives again`);
  }
  if (before.ended && !after.ended) broken('native order', 'the run had ended and lives again');
  if (before.handle && (!after.handle || nativeIdOf(after.handle) !== nativeIdOf(before.handle))) {
    broken('native order', 'the handle of the run changed');
  }
}

function endKept(before: Task, after: Task, broken: Say): void {
  const told = (task: Task): string =>
    JSON.stringify([
      task.status,
      task.version,
      'reason' in task ? task.reason : null,
      'result' in task ? task.result : null,
    ]);
  if (told(before) !== told(after)) broken('ends', `the end changed from ${told(before)} to ${told(after)}`);
  const settledBefore = 'settledAt' in before ? before.settledAt : undefined;
  if (settledBefore && JSON.stringify(before) !== JSON.stringify(after)) broken('ends', 'a settled task was written');
}

/** Settled: no run of the task works any more, unless the end of that very run was given up with an alarm. */
function settled(task: Task, { records, complain, runsOf }: Surroundings): void {
  const given = 'run' in task && task.run?.ended?.proof === 'given_up';
  for (const run of runsOf(task.taskId)) {
    if (run.stopped) continue;
    const { attempt } = run.spec;
    const record = records.get(runKey(task.taskId, attempt)) as RunRecord | undefined;
    const isFenced = !isClaimant(run, record) && (record?.noClaim || record?.closed);
    const orphaned = task.history.some(
      (entry) => entry.attempt === attempt && entry.facts.some(({ type }) => type === 'RunOrphaned'),
    );
    if (isFenced || orphaned || (given && attempt === task.attempt)) continue;
    complain('no orphan', task.taskId, `settled while ${run.nativeId} of attempt ${attempt} works`);
  }
}

import { eventOf } from '../events/index.ts';
import type { Cause } from '../schemas/envelope.ts';
import { type DuePurpose, type HistoryEntry, type StoredFact, type Task, task as taskSchema } from '../schemas/task.ts';
import { beats, isAskedAbout, QUIET_CHECKS } from './life-signs.ts';
import type { Mark, Step } from './move.ts';
import { isTerminal, runOf, states } from './states.ts';
import { nextAttemptAt, type Timings } from './timings.ts';
import { transitions } from './transitions.ts';

export interface Context {
  readonly cause: Cause;
  /** Now, by the clock of whoever decides. */
  readonly at: string;
  readonly timings: Timings;
}

/** A move that the transition table does not have: a mistake in the code that decided, never of the world. */
export class ImpossibleMove extends Error {}

/** Follows one row of the transition table: the only place that writes a status. */
export function follow(task: Task, move: Step, context: Context): Task {
  const row = transitions[move.name];
  if (!(row.from as readonly string[]).includes(task.status)) {
    throw new ImpossibleMove(`"${move.name}" does not lead out of ${task.status} (task ${task.taskId})`);
  }
  const version = task.version + 1;
  const attempt = task.status === 'BACKOFF' && !states[row.to].terminal ? task.attempt + 1 : task.attempt;
  const entry: HistoryEntry = {
    transition: move.name,
    from: task.status,
    to: row.to,
    at: context.at,
    version,
    attempt,
    cause: context.cause,
    facts: move.facts.map((fact) => stored(task.taskId, version, fact)),
    ...(move.name === 'backOff' ? { lostFor: move.bring.reason.code } : {}),
    ...(move.name === 'backOff' && move.bring.pauses !== undefined ? { paused: true } : {}),
  };
  const moved = {
    ...carried(task, row.to),
    ...move.bring,
    ...(move.name === 'hydrate' ? { inputs: [...(task.inputs ?? []), move.bring.input] } : {}),
    ...(row.to === 'QUEUED' ? { queuedAt: context.at } : {}),
    ...(states[row.to].terminal ? { endedAt: context.at } : {}),
    status: row.to,
    version,
    attempt,
    history: [...proven(task.history, context.cause).map((old) => shrunk(old, attempt)), entry],
  } as Task;
  return { ...moved, due: dueDates(moved, task, context) } as Task;
}

/** Applies what is no transition. */
export function touch(task: Task, move: Mark, cause: Cause): Task {
  const due = { ...task.due };
  for (const [purpose, at] of Object.entries(move.due ?? {}) as [DuePurpose, string | null][]) {
    if (at === null) delete due[purpose];
    else due[purpose] = at;
  }
  const versions = new Set(move.proven);
  return {
    ...task,
    ...(move.run ? { run: move.run } : {}),
    ...(move.settledAt ? { settledAt: move.settledAt } : {}),
    ...(move.delay ? { delay: move.delay } : {}),
    due,
    history: proven(task.history, cause).map((entry) =>
      versions.has(entry.version) && !entry.proven ? { ...entry, proven: true } : entry,
    ),
  } as Task;
}

/** Throws when a task is not what its status promises. For tests, the simulation and records that come from disk. */
export const assertTask = (value: unknown): Task => taskSchema.parse(value);

/** The earliest due date, if anything is due at all. */
export function earliestDue(task: Task): string | undefined {
  let earliest: string | undefined;
  for (const at of Object.values(task.due)) if (at && (earliest === undefined || at < earliest)) earliest = at;
  return earliest;
}

export const later = (at: string, seconds: number): string => new Date(Date.parse(at) + seconds * 1000).toISOString();

/** Id of a transition's fact: the same whoever publishes it and however often. */
export const factId = (taskId: string, version: number, type: string): string => `${taskId}#${version}#${type}`;

const stored = (taskId: string, version: number, fact: { type: string; data: unknown }): StoredFact => ({
  id: factId(taskId, version, fact.type),
  type: fact.type,
  schemaVersion: eventOf(fact.type)?.version ?? 1,
  data: fact.data,
});

/** What a task keeps when it leaves a state: everything but what belongs to that state alone. */
function carried(task: Task, to: Task['status']): object {
  const kept: Record<string, unknown> = { ...task };
  for (const own of ['queuedAt', 'exitCode', 'intent', 'reason', 'resumeAt', 'delay']) delete kept[own];
  if (!states[to].computes && !states[to].terminal) {
    delete kept['run'];
    delete kept['input'];
  }
  return kept;
}

/** The entry whose driving fact caused this step has been delivered: that is its proof. A replay is none: it reaches state rules alone. */
function proven(history: readonly HistoryEntry[], cause: Cause): HistoryEntry[] {
  if (cause.replayed) return [...history];
  return history.map((entry) =>
    !entry.proven && entry.facts.some((fact) => fact.id === cause.id) ? { ...entry, proven: true } : entry,
  );
}

/** Entries older than the previous attempt keep who, when and why, and give up what they said: each wake-up since then said it. */
function shrunk(entry: HistoryEntry, attempt: number): HistoryEntry {
  if (entry.attempt >= attempt - 1) return entry;
  return {
    ...entry,
    proven: true,
    facts: entry.facts.map(({ data: _data, schemaVersion: _version, ...kept }) => kept),
  };
}

function dueDates(moved: Task, before: Task, { at, timings }: Context): Task['due'] {
  const due: Task['due'] = {};
  const run = runOf(moved);
  const runLives = run !== undefined && run.ended === undefined;
  const exitGrace = beats(moved) ? timings.LAST_WORD_GRACE_S : timings.EXIT_GRACE_S;
  for (const purpose of states[moved.status].due) {
    switch (purpose) {
      case 'deadline':
        if (!('intent' in moved) || moved.intent === 'lost' || moved.intent === 'paused')
          due.deadline = moved.deadlineAt;
        break;
      case 'step':
        due.step = later(at, timings.STEP_RETRY_S);
        break;
      case 'queue':
        due.queue = later(at, timings.QUEUE_CHECK_S);
        break;
      case 'start':
        due.start = later(at, timings.START_CHECK_S);
        break;
      case 'progress':
        if (moved.firstOutputSeconds !== undefined) due.progress = later(at, moved.firstOutputSeconds);
        break;
      case 'life':
        if (beats(moved)) due.life = later(at, timings.LIFE_LOOK_S);
        else if (isAskedAbout(moved) && moved.status === 'RUNNING')
          due.life = later(at, QUIET_CHECKS * timings.START_CHECK_S);
        break;
      case 'report':
        due.report = later(at, timings.REPORT_GRACE_S);
        break;
      case 'stop':
        due.stop = (before.status === 'STOPPING' && before.due.stop) || later(at, timings.STOP_RETRY_S);
        break;
      case 'backoff':
        due.backoff = nextAttemptAt(moved, at, timings);
        break;
      case 'exit':
        if (runLives) due.exit = later(at, exitGrace);
        break;
      case 'proof':
        if (moved.status === 'STOPPING') {
          due.proof = (before.status === 'STOPPING' && before.due.proof) || later(at, timings.STOP_PROOF_S);
        } else if (runLives) {
          due.proof = later(at, exitGrace + timings.STOP_PROOF_S);
        }
        break;
      case 'settle':
        due.settle = later(at, timings.SETTLE_RETRY_S);
        break;
    }
  }
  return due;
}

/** Entries that still have to be heard: no proof yet, and something to say. */
export const unproven = (task: Task): HistoryEntry[] =>
  task.history.filter((entry) => !entry.proven && entry.facts.length > 0);

/** Does the task still wait for what this entry's driving fact sets off? */
export const isCurrent = (task: Task, entry: { version: number }): boolean =>
  task.version === entry.version && !(isTerminal(task) && task.settledAt !== undefined);

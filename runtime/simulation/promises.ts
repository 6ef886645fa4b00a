import { earliestDue, factId } from '../../lifecycle/evolve.ts';
import { isStale } from '../../lifecycle/slot-decisions.ts';
import { isSettled, isTerminal } from '../../lifecycle/states.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { ScreenedText } from '../../schemas/screening.ts';
import { leaseOf, parseLease, type Slot } from '../../schemas/slot.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import type { RecordStore, RunSignal, StartRun, StoredRecord } from '../ports.ts';
import { runKey, slotKey, taskKey } from '../records.ts';
import { mustBeExplained } from './explained.ts';
import { droppedNewer } from './mixed-code.ts';
import type { Broken, Complain, Records } from './promise-names.ts';
import { watchReplays } from './replay-promises.ts';
import { runWritten } from './run-promises.ts';
import type { EcsRun } from './simulated-ecs.ts';
import type { Witness } from './simulated-runner.ts';
import { slotWritten } from './slot-promises.ts';
import { taskWritten } from './task-promises.ts';

export interface PromisesOptions {
  readonly nowMs: () => number;
  readonly later: (ms: number, work: () => void) => void;
  readonly runsOf: (taskId: string) => readonly EcsRun[];
  /** Seconds after its deadline by which a task must have settled. */
  readonly settleWithinSeconds: number;
  /** Whether the world is open. */
  readonly isUp: () => boolean;
  /** Whether the guardrail let this text of the task pass. */
  readonly hasPassed: (taskId: string, of: ScreenedText) => boolean;
  readonly broken: (broken: Broken) => void;
}

export interface Promises extends Witness {
  /** A record was written, or deleted (`after` undefined). */
  wrote(key: string, before: unknown, after: unknown): void;
  /** An event was put on the bus. */
  heard(event: Envelope): void;
  armed(taskId: string, at: string): void;
  /** The back end was asked to start a run. */
  startAsked(spec: StartRun): void;
  /** The back end was asked to stop this run. */
  stopAsked(run: EcsRun): void;
  /** A write was under way when its handler was cut off: it may be made at any later time. */
  hung(key: string): void;
  /** What an invocation said that a replay caused; `sinceMs` is when it began. */
  replayed(rule: string, event: Envelope, facts: readonly BatonEvent[], sinceMs: number): void;
  /** An invocation that a replay caused reached outside. */
  reachedOut(what: string): void;
  /** The records as an invocation sees them that a replay caused. */
  watchedReplay(store: RecordStore): RecordStore;
  /** The world died; these records survived. */
  died(survivors: readonly StoredRecord[]): void;
  /** The world is open again, and its alarms are set. */
  reopened(): void;
  /** Nothing is planned any more: what must be true in the end. */
  quiet(): void;
  readonly records: Records;
}

/** By when an alarm that rang too early for a slow write must be set again, in milliseconds. */
const RING_AGAIN_WITHIN_MS = 600_000;

/** By when the slot of an attempt that was lost or paused must have been returned, in milliseconds: late deliveries and their retries. */
const RETURNED_WITHIN_MS = 1_500_000;

/** Types that transitions store; others are said beside the steps. */
const storedTypes = new Set<string>(Object.values(transitions).flatMap(({ emits }) => [...emits]));

/** Rules that keep texts before the task names them: what is given up there may leave one behind. */
const mayLeavePayloads = ['accept-task', 'fetch-context', 'hydrate-task'] as const;

/** A fact of a transition, known by its id. */
const isOfStep = (event: BatonEvent): boolean => {
  const { taskId, version } = event.detail.metadata;
  const type = event['detail-type'];
  return storedTypes.has(type) && event.id === factId(taskId ?? '', version ?? 0, type);
};

const terminalTypes = new Set(['TaskCompleted', 'TaskFailed', 'TaskCancelled', 'TaskTimedOut']);

/** Watches one simulated world from outside: every write, every event, and what runners do. */
export function watchPromises(options: PromisesOptions): Promises {
  const records = new Map<string, unknown>();
  /** Everything that was published, by id, as text. */
  const published = new Map<string, string>();
  /** Ids of terminal facts, by task. */
  const lastWords = new Map<string, Set<string>>();
  const grantsGiven = new Set<string>();
  const alarms = new Map<string, Set<string>>();
  /** Wake-ups under way, by task. */
  const ringing = new Map<string, number>();
  const claimants = new Map<string, string>();
  const pushes = new Set<string>();
  /** When the agent's first word was kept, by run key. */
  const firstWords = new Map<string, number>();
  /** Rows of wake-ups under way or dead, by key. */
  const rows = new Set<string>();
  /** Keys of writes that hung. */
  const hanging = new Set<string>();
  /** Everything that was published as news, by id: not by a replay, nor by what one led to. */
  const news = new Set<string>();
  let opening = false;
  let openSinceMs = options.nowMs();

  const complain: Complain = (promise, taskId, message) => options.broken({ promise, taskId, message });
  const taskOf = (taskId: string): Task | undefined => {
    const value = records.get(taskKey(taskId)) as Task | Rejection | undefined;
    return value && value.status !== 'REJECTED' ? value : undefined;
  };

  const replays = watchReplays({ complain, taskOf });

  return {
    records,
    wrote,
    heard,
    ...replays,
    hung: (key) => void hanging.add(key),
    startAsked,
    died,
    quiet,
    armed: (taskId, at) => void alarms.set(taskId, (alarms.get(taskId) ?? new Set()).add(at)),
    stopAsked(run) {
      const { taskId, attempt } = run.spec;
      const task = taskOf(taskId);
      const works = task?.status === 'STARTING' || task?.status === 'RUNNING';
      if (works && task.attempt === attempt && claimants.get(runKey(taskId, attempt)) === run.arn) {
        complain('one attempt counts', taskId, `${run.arn} was stopped while attempt ${attempt} is ${task.status}`);
      }
    },
    reopened() {
      opening = false;
      openSinceMs = options.nowMs();
      for (const task of tasks()) {
        const at = task.armedAt ?? earliestDue(task);
        if (at && !isSettled(task)) alarms.set(task.taskId, (alarms.get(task.taskId) ?? new Set()).add(at));
      }
    },
    claimed({ taskId, attempt, nativeId }) {
      const key = runKey(taskId, attempt);
      const first = claimants.get(key) ?? nativeId;
      claimants.set(key, first);
      if (first !== nativeId)
        complain('one attempt counts', taskId, `attempt ${attempt} was claimed by ${first} and ${nativeId}`);
    },
    reported: (signal) => speaks(signal, 'reported'),
    pushed(signal, isLate) {
      speaks(signal, 'pushed');
      pushes.add(runKey(signal.taskId, signal.attempt));
      const task = taskOf(signal.taskId);
      if (task && task.attempt > signal.attempt && !isLate) {
        complain(
          'one attempt counts',
          task.taskId,
          `attempt ${signal.attempt} pushed after attempt ${task.attempt} had been admitted`,
        );
      }
    },
  };

  function wrote(key: string, before: unknown, after: unknown): void {
    if (after === undefined) records.delete(key);
    else records.set(key, after);
    if (key.startsWith('EVENT#') || key.startsWith('DEAD#')) rowWritten(key, before, after);
    if (droppedNewer(before, after)) complain('unknown is loud', '', `${key} lost what newer code had written`);
    if (key.startsWith('EVENT#') || key.startsWith('DEAD#') || after === undefined) return;
    if (key.startsWith('TASK#')) {
      const task = after as Task | Rejection;
      const { runsOf } = options;
      taskWritten(before as Task | Rejection | undefined, task, { records, complain, pushes, firstWords, runsOf });
      if (task.status !== 'REJECTED') mustRing(task);
      if (task.status !== 'REJECTED') mustBeExplained(task, records, complain);
      if (task.status === 'BACKOFF' && (before as Task | undefined)?.status !== 'BACKOFF') slotMustReturn(task);
    }
    if (key.startsWith('RUN#')) {
      runWritten(before as RunRecord | undefined, after as RunRecord, complain);
      if ((after as RunRecord).firstOutputAt && !firstWords.has(key)) firstWords.set(key, options.nowMs());
    }
    if (key.startsWith('SLOT#')) {
      const slot = after as Slot;
      slotWritten(before as Slot | undefined, slot, { taskOf, complain });
      for (const { grant } of Object.values(slot.holders)) if (grant) grantsGiven.add(grant.fact.id);
    }
  }

  /** A wake-up is under way from its row to its acknowledgement; one that is dead rings again until it was handled. */
  function rowWritten(key: string, before: unknown, after: unknown): void {
    const { event } = (before ?? after) as { event: Envelope };
    if (event['detail-type'] !== 'AlarmRang' || (before !== undefined && after !== undefined)) return;
    const { taskId } = (event as BatonEvent<string, { taskId: string }>).detail.data;
    if (after === undefined && !rows.delete(key)) return;
    if (after !== undefined) rows.add(key);
    rings(taskId, after === undefined ? -1 : 1);
    const task = taskOf(taskId);
    if (after === undefined && task) mustRing(task);
  }

  function rings(taskId: string, change: number): void {
    ringing.set(taskId, (ringing.get(taskId) ?? 0) + change);
  }

  /** An attempt that is over gives its slot back soon, however long the task waits for the next one. */
  function slotMustReturn(task: Task): void {
    const { taskId, attempt, version, slotKey: of } = task;
    options.later(RETURNED_WITHIN_MS, () => {
      const now = taskOf(taskId);
      const wasUp = options.isUp() && !opening && options.nowMs() - openSinceMs >= RETURNED_WITHIN_MS;
      if (now?.version === version && !wasUp) return slotMustReturn(task);
      const slot = records.get(slotKey(of)) as Slot | undefined;
      if (now?.version !== version || isDead('return-slot') || !slot?.holders[leaseOf(taskId, attempt)]) return;
      complain('slots', taskId, `attempt ${attempt} is over since long and holds its slot`);
    });
  }

  /** Nothing starts that has not passed screening, where that is asked for. */
  function startAsked({ taskId, attempt }: StartRun): void {
    const task = taskOf(taskId);
    if (task?.screening !== 'required') return;
    const texts: ScreenedText[] = task.contextRef === undefined ? ['request'] : ['request', 'context'];
    for (const of of texts) {
      if (!options.hasPassed(taskId, of))
        complain('fail closed', taskId, `attempt ${attempt} was started although its ${of} did not pass`);
    }
    if (task.context !== undefined && task.contextRef === undefined)
      complain('fail closed', taskId, `attempt ${attempt} was started without the text it asks for`);
  }

  /** Something is due, and an alarm rings in time for it. */
  function mustRing(task: Task, isLate = false): void {
    if (isSettled(task)) return;
    const due = earliestDue(task);
    if (due === undefined) {
      complain('ends', task.taskId, `${task.status} has nothing due`);
      return;
    }
    if (opening || (ringing.get(task.taskId) ?? 0) > 0) return;
    const inTime = [...(alarms.get(task.taskId) ?? [])].some((at) => at <= due);
    if (inTime) return;
    if (Date.parse(due) > options.nowMs() || isLate) {
      complain('ends', task.taskId, `${task.status} is due at ${due} and no alarm is set for it`);
      return;
    }
    // The alarm rang before this slow write came: whoever wrote sets it again, or whoever tries again does.
    options.later(RING_AGAIN_WITHIN_MS, () => {
      const now = taskOf(task.taskId);
      if (now && now.armedAt === task.armedAt && now.version === task.version) mustRing(now, true);
    });
  }

  function heard(event: Envelope): void {
    if (event['detail-type'] === 'AlarmRang') {
      const { taskId, at } = (event as BatonEvent<string, { taskId: string; at: string }>).detail.data;
      alarms.get(taskId)?.delete(at);
      return;
    }
    if (event.source !== 'baton') return;
    const fact = event as BatonEvent;
    const { metadata, data } = fact.detail;
    const taskId = metadata.taskId ?? '';
    if (!metadata.correlationId || !metadata.causationId) complain('explained', taskId, `${fact.id} names no cause`);
    const type = fact['detail-type'];
    if (isOfStep(fact)) mustBeStored(fact, taskId);
    const text = JSON.stringify([type, metadata.taskId, metadata.attempt, metadata.causationId, data]);
    const known = published.get(fact.id);
    if (known !== undefined && known !== text && isOfStep(fact)) {
      complain('no lost step', taskId, `${fact.id} was published with other content before: ${known} and ${text}`);
    }
    published.set(fact.id, text);
    if (metadata.replayOf === undefined && fact['replay-name'] === undefined) news.add(fact.id);
    if (terminalTypes.has(type)) lastWords.set(taskId, (lastWords.get(taskId) ?? new Set()).add(fact.id));
    if (type === 'SlotGranted' && !grantsGiven.has(fact.id)) complain('slots', taskId, `${fact.id} was never given`);
    if (type === 'TaskSettled' && !taskIsSettled(taskId))
      complain('no lost step', taskId, 'TaskSettled of a task that is not settled');
  }

  function taskIsSettled(taskId: string): boolean {
    const task = taskOf(taskId);
    return task !== undefined && isSettled(task);
  }

  function mustBeStored(event: BatonEvent, taskId: string): void {
    const entry = taskOf(taskId)?.history.find(({ version }) => version === event.detail.metadata.version);
    const fact = entry?.facts.find(({ id }) => id === event.id);
    if (!fact) complain('no lost step', taskId, `${event.id} was published and is not stored`);
    else if (fact.data !== undefined && JSON.stringify(fact.data) !== JSON.stringify(event.detail.data)) {
      complain('no lost step', taskId, `${event.id} was published with other data than stored`);
    }
  }

  function speaks({ taskId, attempt, nativeId }: RunSignal, what: string): void {
    if (claimants.get(runKey(taskId, attempt)) !== nativeId) {
      complain('one attempt counts', taskId, `${nativeId} ${what} without being the claimant of attempt ${attempt}`);
    }
  }

  function* tasks(): Iterable<Task> {
    for (const [key, value] of records) {
      if (key.startsWith('TASK#') && (value as Task | Rejection).status !== 'REJECTED') yield value as Task;
    }
  }

  function died(survivors: readonly StoredRecord[]): void {
    records.clear();
    for (const { key, value } of survivors) records.set(key, value);
    alarms.clear();
    ringing.clear();
    rows.clear();
    // Nobody rings a dead wake-up of an earlier life: the alarms are set from the tasks.
    for (const { key, value } of survivors) if (key.startsWith('EVENT#')) rowWritten(key, undefined, value);
    // What was said about steps that nobody can know of any more was never said.
    const stored = new Set<string>();
    for (const task of tasks()) for (const { facts } of task.history) for (const { id } of facts) stored.add(id);
    for (const key of records.keys()) if (key.startsWith('TASK#')) stored.add(`${key.slice('TASK#'.length)}#rejected`);
    for (const id of published.keys()) if (!stored.has(id)) published.delete(id);
    for (const ids of lastWords.values()) for (const id of ids) if (!stored.has(id)) ids.delete(id);
    opening = true;
  }

  function quiet(): void {
    rejectionsAtTheEnd();
    for (const task of tasks()) taskAtTheEnd(task);
    for (const [key, value] of records) {
      if (key.startsWith('EVENT#')) complain('no lost step', '', `${key} was never acknowledged`);
      const mayBeLeft = hanging.has(key) || mayLeavePayloads.some(isDead);
      if (key.startsWith('PAYLOAD#') && !mayBeLeft) {
        complain('ends', '', `${key} was never deleted: ${String(value).slice(0, 80)}`);
      }
      if (key.startsWith('SLOT#')) slotAtTheEnd(value as Slot);
    }
  }

  /** Did a delivery to this rule become a dead letter? What it would have mended is then for whoever redrives it. */
  function isDead(rule: string): boolean {
    return [...records.keys()].some((key) => key.startsWith('DEAD#') && key.endsWith(`#${rule}`));
  }

  /** Who was rejected was told, or the request is a dead letter: a rejection has no due date that would say it again. */
  function rejectionsAtTheEnd(): void {
    if (isDead('accept-task')) return;
    for (const [key, value] of records) {
      if (!key.startsWith('TASK#')) continue;
      const { status, taskId } = value as Task | Rejection;
      if (status === 'REJECTED' && !published.has(`${taskId}#rejected`)) {
        complain('no lost step', taskId, 'was rejected and nobody was told');
      }
    }
  }

  function taskAtTheEnd(task: Task): void {
    const { taskId } = task;
    if (!isTerminal(task) || !isSettled(task)) {
      complain('ends', taskId, `is ${task.status} and not settled at the end`);
      return;
    }
    const lateS = (Date.parse(task.settledAt ?? '') - Date.parse(task.deadlineAt)) / 1000;
    if (lateS > options.settleWithinSeconds) complain('ends', taskId, `settled ${lateS} s after its deadline`);
    for (const { facts } of task.history) {
      for (const { id } of facts)
        if (!published.has(id)) complain('no lost step', taskId, `${id} was stored and never published`);
    }
    for (const place of (task.subscribers ?? []).keys()) {
      const id = `${taskId}#notify#${place}`;
      if (!news.has(id) && !isDead('settle-task')) complain('no lost step', taskId, `${id} was never due`);
    }
    const said = [...(lastWords.get(taskId) ?? [])];
    if (said.length !== 1) complain('ends', taskId, `has ${said.length} terminal facts: ${said.join(', ')}`);
    for (const run of options.runsOf(taskId)) {
      if (!run.stopped && !isReportedLost(task, run.spec.attempt)) {
        complain('no orphan', taskId, `${run.arn} of attempt ${run.spec.attempt} is alive and nobody says so`);
      }
    }
  }

  function isReportedLost({ taskId, history }: Task, attempt: number): boolean {
    return (
      published.has(`${taskId}#attempt-${attempt}#RunOrphaned`) ||
      history.some((entry) => entry.attempt === attempt && entry.facts.some(({ type }) => type === 'RunOrphaned'))
    );
  }

  /** Leases of tasks that are over may be left for whoever needs the place; nobody else holds or waits. */
  function slotAtTheEnd(slot: Slot): void {
    for (const lease of [...Object.keys(slot.waiters), ...Object.keys(slot.holders)]) {
      const { taskId } = parseLease(lease);
      if (!isStale(lease, taskOf(taskId))) complain('slots', taskId, `${lease} is left in ${slotKey(slot.key)}`);
    }
  }
}

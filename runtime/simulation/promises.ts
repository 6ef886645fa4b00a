import { factId } from '../../lifecycle/evolve.ts';
import { isSettled } from '../../lifecycle/states.ts';
import type { Timings } from '../../lifecycle/timings.ts';
import { transitions } from '../../lifecycle/transitions.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { ScreenedText } from '../../schemas/screening.ts';
import { leaseOf, type Slot } from '../../schemas/slot.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import type { RecordStore, RunSignal, StoredRecord } from '../ports.ts';
import { runKey, slotKey, taskKey } from '../records.ts';
import { watchAlarms } from './alarm-promises.ts';
import { watchDefinitions } from './definition-promises.ts';
import { atTheEnd } from './end-promises.ts';
import { mustBeExplained } from './explained.ts';
import { watchFleet } from './fleet-promises.ts';
import { droppedNewer } from './mixed-code.ts';
import { watchOrphans } from './orphan-promises.ts';
import type { Broken, Complain, Records } from './promise-names.ts';
import { watchReplays } from './replay-promises.ts';
import { runWritten } from './run-promises.ts';
import { watchSessions } from './session-promises.ts';
import type { SessionBody, SessionEars } from './simulated-agentcore.ts';
import type { EcsEars } from './simulated-ecs.ts';
import type { FleetEars, Machine } from './simulated-fleet.ts';
import type { HostSurroundings } from './simulated-host.ts';
import type { RegistryEars, SimulatedRegistry } from './simulated-registry.ts';
import type { Witness } from './simulated-runner.ts';
import type { SimulatedCommand } from './simulated-ssm.ts';
import { slotWritten } from './slot-promises.ts';
import { taskWritten } from './task-promises.ts';
import type { WatchedRun } from './watched-run.ts';

export interface PromisesOptions {
  readonly nowMs: () => number;
  readonly later: (ms: number, work: () => void) => void;
  readonly runsOf: (taskId: string) => readonly WatchedRun[];
  readonly bodies: () => readonly SessionBody[];
  readonly machines: () => readonly Machine[];
  readonly commands: () => readonly SimulatedCommand[];
  readonly registry: () => SimulatedRegistry;
  readonly timings: Timings;
  /** No fault is in play that delays what Baton does. */
  readonly isCalm: boolean;
  /** None is that refuses calls, or loses their answers. */
  readonly isHeard: boolean;
  readonly stage: string;
  /** Seconds after its deadline by which a task must have settled. */
  readonly settleWithinSeconds: number;
  /** Whether the world is open. */
  readonly isUp: () => boolean;
  /** Whether the guardrail let this text of the task pass. */
  readonly hasPassed: (taskId: string, of: ScreenedText) => boolean;
  readonly broken: (broken: Broken) => void;
}

export interface Promises extends Witness, RegistryEars, EcsEars, SessionEars, FleetEars {
  /** A container begins on a host, among what is left of others. */
  begins: HostSurroundings['begins'];
  commandSent(command: SimulatedCommand): void;
  /** A record was written, or deleted (`after` undefined). */
  wrote(key: string, before: unknown, after: unknown): void;
  /** An event was put on the bus. */
  heard(event: Envelope): void;
  armed(taskId: string, at: string): void;
  /** A write was under way when its handler was cut off: it may be made at any later time. */
  hung(key: string): void;
  /** What an invocation said that a replay caused; `sinceMs` is when it began. */
  replayed(rule: string, event: Envelope, facts: readonly BatonEvent[], sinceMs: number): void;
  /** The records as an invocation sees them that a replay caused. */
  watchedReplay(store: RecordStore): RecordStore;
  /** The records as an invocation sees them that begins now and may start a run. */
  watchedStarts(store: RecordStore): RecordStore;
  /** The world died; these records survived. */
  died(survivors: readonly StoredRecord[]): void;
  /** The world is open again, and its alarms are set. */
  reopened(): void;
  /** Nothing is planned any more: what must be true in the end. */
  quiet(): void;
  readonly records: Records;
  readonly complain: Complain;
}

/** By when the slot of an attempt that was lost or paused must have been returned, in milliseconds: late deliveries and their retries. */
const RETURNED_WITHIN_MS = 1_500_000;

/** Types that transitions store; others are said beside the steps. */
const storedTypes = new Set<string>(Object.values(transitions).flatMap(({ emits }) => [...emits]));

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
  const claimants = new Map<string, string>();
  const pushes = new Set<string>();
  /** When the agent's first word was kept, or the runner was told so, by run key. */
  const firstWords = new Map<string, number>();
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
  const alarms = watchAlarms({ nowMs: options.nowMs, later: options.later, taskOf, complain });
  const orphans = watchOrphans({ records, runsOf: options.runsOf, complain });
  const sessions = watchSessions({ ...options, records, taskOf, complain });
  const fleet = watchFleet({ ...options, records, taskOf, tasks, isDead, complain });
  const definitions = watchDefinitions({ ...options, records, taskOf, tasks, complain });

  return {
    records,
    complain,
    wrote,
    heard,
    ...replays,
    registers: definitions.registers,
    deregisters: definitions.deregisters,
    watchedStarts: definitions.watchedStarts,
    hung: (key) => void hanging.add(key),
    startAsked(spec) {
      definitions.startAsked(spec);
      mustHavePassed(spec);
    },
    sessionAsked(address, run) {
      sessions.asked(address, run);
      mustHavePassed(run);
    },
    begins: fleet.begins,
    machineGone: fleet.machineGone,
    machineTaken: fleet.machineTaken,
    commandSent({ parameters: { action, taskId, attempt } }) {
      if (action === 'run') mustHavePassed({ taskId, attempt: Number(attempt) });
    },
    sessionNotFound: sessions.notFound,
    sessionStopped(body) {
      sessions.stopAsked(body);
      if (!sessions.mayStop(body)) mustNotWork(body);
    },
    died,
    quiet() {
      definitions.atTheEnd();
      fleet.atTheEnd();
      if (!isDead('announce-orphan')) orphans.atTheEnd();
      atTheEnd({ ...options, records, published, news, lastWords, hanging, tasks, taskOf, isDead, complain });
    },
    armed: alarms.armed,
    stopAsked: mustNotWork,
    reopened() {
      opening = false;
      openSinceMs = options.nowMs();
      alarms.reopened(tasks());
    },
    claimed({ taskId, attempt, nativeId }, body) {
      const key = runKey(taskId, attempt);
      sessions.claimed(key, taskId, body);
      const first = claimants.get(key) ?? nativeId;
      claimants.set(key, first);
      if (first !== nativeId)
        complain('one attempt counts', taskId, `attempt ${attempt} was claimed by ${first} and ${nativeId}`);
    },
    spoke: ({ taskId, attempt }) => spoken(runKey(taskId, attempt)),
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
    if (key.startsWith('EVENT#') || key.startsWith('DEAD#')) alarms.rowWritten(key, before, after);
    if (droppedNewer(before, after)) complain('unknown is loud', '', `${key} lost what newer code had written`);
    if (key.startsWith('EVENT#') || key.startsWith('DEAD#') || after === undefined) return;
    definitions.wrote(key, before, after);
    if (key.startsWith('TASK#')) {
      const task = after as Task | Rejection;
      const { runsOf } = options;
      taskWritten(before as Task | Rejection | undefined, task, { records, complain, pushes, firstWords, runsOf });
      if (task.status !== 'REJECTED') alarms.mustRing(task);
      if (task.status !== 'REJECTED') mustBeExplained(task, records, complain);
      if (task.status !== 'REJECTED') definitions.taskWritten(before as Task | undefined, task);
      if (task.status !== 'REJECTED') sessions.taskWritten(before as Task | undefined, task);
      if (task.status === 'BACKOFF' && (before as Task | undefined)?.status !== 'BACKOFF') slotMustReturn(task);
    }
    if (key.startsWith('WORKER#')) fleet.wrote(key, before, after);
    if (key.startsWith('RUN#')) {
      runWritten(before as RunRecord | undefined, after as RunRecord, complain);
      sessions.runWritten(after as RunRecord);
      if ((after as RunRecord).firstOutputAt) spoken(key);
    }
    if (key.startsWith('SLOT#')) {
      const slot = after as Slot;
      slotWritten(before as Slot | undefined, slot, { taskOf, complain });
      for (const { grant } of Object.values(slot.holders)) if (grant) grantsGiven.add(grant.fact.id);
    }
  }

  function spoken(key: string): void {
    if (!firstWords.has(key)) firstWords.set(key, options.nowMs());
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

  /** Nobody is stopped who works for the attempt that its task waits for. */
  function mustNotWork(run: WatchedRun): void {
    const { taskId, attempt } = run.spec;
    const task = taskOf(taskId);
    const works = task?.status === 'STARTING' || task?.status === 'RUNNING';
    const claimed = claimants.get(runKey(taskId, attempt)) === run.nativeId && run.claims !== false;
    if (works && task.attempt === attempt && claimed) {
      complain('one attempt counts', taskId, `${run.nativeId} was stopped while attempt ${attempt} is ${task.status}`);
    }
  }

  /** Nothing starts that has not passed screening, where that is asked for. */
  function mustHavePassed({ taskId, attempt }: WatchedRun['spec']): void {
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

  function heard(event: Envelope): void {
    if (event['detail-type'] === 'AlarmRang') {
      alarms.rang(event);
      return;
    }
    orphans.heard(event);
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
    for (const key of firstWords.keys())
      if ((records.get(key) as RunRecord | undefined)?.firstOutputAt === undefined) firstWords.delete(key);
    // What was said about steps that nobody can know of any more was never said.
    const stored = new Set<string>();
    for (const task of tasks()) for (const { facts } of task.history) for (const { id } of facts) stored.add(id);
    for (const key of records.keys()) if (key.startsWith('TASK#')) stored.add(`${key.slice('TASK#'.length)}#rejected`);
    for (const id of published.keys()) if (!stored.has(id)) published.delete(id);
    for (const ids of lastWords.values()) for (const id of ids) if (!stored.has(id)) ids.delete(id);
    alarms.died(survivors);
    orphans.died(stored);
    definitions.died();
    sessions.died();
    opening = true;
  }

  /** Did a delivery to this rule become a dead letter? What it would have mended is then for whoever redrives it. */
  function isDead(rule: string): boolean {
    return [...records.keys()].some((key) => key.startsWith('DEAD#') && key.endsWith(`#${rule}`));
  }
}

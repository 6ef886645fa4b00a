import type { SsmCommandInvocationDetail } from '../events/aws/ssm-command-invocation.ts';
import type { CapacityProvider } from '../lifecycle/capacity.ts';
import type { Move } from '../lifecycle/move.ts';
import type { Timings } from '../lifecycle/timings.ts';
import type { AgentcoreHandle } from '../schemas/agentcore-session.ts';
import type { BatonEvent, Cause } from '../schemas/envelope.ts';
import type { Reason } from '../schemas/reason.ts';
import type { RepositoryConfig, RepositoryEntry } from '../schemas/repository-config.ts';
import type { EcsHandle, RunHandle } from '../schemas/run-handle.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { ScreenedText, ScreeningVerdict } from '../schemas/screening.ts';
import type { Ec2Handle, WorkerOwner } from '../schemas/ssm-command.ts';
import type { Rejection, Task } from '../schemas/task.ts';
import type { UserTerms } from '../schemas/task-definition.ts';
import type { TaskRequest } from '../schemas/task-request.ts';
import type { WebhookBody } from '../schemas/webhook-body.ts';
import type { LifecycleHook, Worker } from '../schemas/worker.ts';
import type { Outcome, Said } from './outcome.ts';

/** What handlers may use, in the domain's words. A rule names the ports that it `uses` and gets no others. */
export interface Ports {
  readonly tasks: Tasks;
  readonly slots: Slots;
  readonly workers: Workers;
  readonly runs: Runs;
  readonly payloads: Payloads;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly repositories: Repositories;
  readonly configurations: Configurations;
  readonly webhooks: Webhooks;
  readonly agentcore: AgentcoreBackend;
  readonly ecs: EcsBackend;
  readonly ec2: FleetBackend;
  readonly machines: Machines;
  readonly definitions: Definitions;
  readonly screening: Screening;
  readonly contexts: Contexts;
}

/** The ports that reach outside Baton's own records: every world brings its own. */
export type OutsidePort =
  | 'agentcore'
  | 'ecs'
  | 'ec2'
  | 'machines'
  | 'definitions'
  | 'screening'
  | 'contexts'
  | 'webhooks';

export interface Clock {
  /** Now, as `Date.toISOString` writes it. */
  now(): string;
}

/** What a decision may look at besides the task and the record of its current run. */
export interface Moment {
  readonly at: string;
  readonly timings: Timings;
}

export type Accepted =
  | { readonly kind: 'moved'; readonly task: Task; readonly events: readonly BatonEvent[] }
  | { readonly kind: 'already'; readonly known: Task | Rejection; readonly reused: boolean; readonly outcome: Outcome };

export interface Tasks {
  get(taskId: string): Promise<Task | undefined>;
  /** Writes the task if nothing stands under its id yet, in one conditional write; the first answer stands. */
  accept(task: Task): Promise<Accepted>;
  /** Writes a rejection if nothing stands under its id yet. */
  reject(rejection: Rejection): Promise<Outcome>;
  /**
   * Reads the task and the record of its current run, asks a pure function for a move, and commits it by one conditional write,
   * with the alarm clock set before. Decides again when another write came between; throws `contention` after DECIDE_TRIES.
   */
  decide(
    taskId: string,
    cause: Cause,
    decision: (task: Task, record: RunRecord | undefined, moment: Moment) => Move,
  ): Promise<Outcome>;
}

export interface Slots {
  /** Asks for a slot. `waiting` comes with the place in line. */
  take(
    key: string,
    lease: string,
    options: { priority: number; cause: Cause; correlationId: string },
  ): Promise<{ answer: 'held' | 'waiting' | 'full'; position?: number; said: Said }>;
  /** Gives a held slot or a place in line back; does nothing for a lease that has neither. */
  release(key: string, lease: string, cause: Cause): Promise<Said>;
  /** The task has taken up its grant. */
  confirm(key: string, lease: string, cause: Cause): Promise<Said>;
  /** Whether the lease has a place now. */
  holds(key: string, lease: string): Promise<boolean>;
  /** Evicts stale leases, gives free places to waiters, and says every grant that is not confirmed. */
  check(key: string, cause: Cause): Promise<Said>;
}

export interface Runs {
  get(taskId: string, attempt: number): Promise<RunRecord | undefined>;
  /** Creates the record of an attempt if there is none; the token is the same for every call. */
  open(taskId: string, attempt: number): Promise<{ token: string }>;
  /** Nobody may claim this attempt any more. */
  forbidClaim(taskId: string, attempt: number): Promise<void>;
  /** Nothing of this attempt's runner counts any more. */
  close(taskId: string, attempt: number): Promise<void>;
  noteStray(taskId: string, attempt: number, handle: RunHandle): Promise<void>;
  /**
   * Notes that the claimant of a closed attempt has lived on; answers since when that is known, and whether it was `before`. Undefined, and
   * nothing is noted, for anybody else and as long as the attempt is open.
   */
  noteOutlived(signal: RunSignal): Promise<{ readonly at: string; readonly before: boolean } | undefined>;
  /** Keeps the newest progress of the claimant. */
  progress(signal: RunSignal & { seq: number; text: string; byRunner: boolean }): Promise<'kept' | 'stale' | 'fenced'>;
}

/** What is configured for repositories. */
export interface Repositories {
  /** The configuration that holds for a repository: the one of its name, else the pattern that names most of it. */
  configurationOf(repository: string): Promise<RepositoryEntry | undefined>;
  /** All of them, by name. */
  list(): Promise<readonly RepositoryEntry[]>;
}

/** Changes what is configured for repositories. */
export interface Configurations {
  /**
   * Stores a configuration, or removes it (`null`). `already`: by this very request; `older`: a request of a later time was stored
   * before; `full`: there is no room for another.
   */
  set(
    name: string,
    config: RepositoryConfig | null,
    by: ConfiguredBy,
  ): Promise<'stored' | 'already' | 'older' | 'full'>;
}

/** Which request configures, as of when, and what of it the deployment does not have. */
export interface ConfiguredBy {
  readonly id: string;
  readonly at: string;
  readonly warning?: string;
}

/**
 * The workers of fleets. Each is one record, and every change one conditional write, decided by `lifecycle/worker.ts`; so everything here
 * may be asked twice. An answer comes with the worker as it then is.
 */
export interface Workers {
  get(worker: string): Promise<Worker | undefined>;
  /** The machine is there and not ready. */
  boots(announced: WorkerAnnounced): Promise<WorkerAnswer<'noted' | 'already'>>;
  /** The machine is ready: it counts as a place of its fleet. `refused`: it is out of the fleet, or of another one. */
  register(announced: WorkerAnnounced): Promise<WorkerAnswer<'registered' | 'already' | 'refused'>>;
  /** The machine could not be made ready. */
  bootFailed(announced: WorkerAnnounced, reason: Reason): Promise<WorkerAnswer<'quarantined' | 'already' | 'refused'>>;
  /** Takes an idle worker of the fleet for an attempt, or one whose claim has lapsed; undefined when all have something to do. */
  claim(fleet: string, owner: WorkerOwner): Promise<string | undefined>;
  /** Gives a claim back for which nothing was sent. */
  giveBack(worker: string, owner: WorkerOwner): Promise<WorkerAnswer<'freed' | 'already'>>;
  /** The worker of the fleet that an attempt has; for the rare case that nobody knows which. */
  held(fleet: string, owner: WorkerOwner): Promise<string | undefined>;
  /** Asked before a command is sent: may it be? */
  dispatch(worker: string, owner: WorkerOwner): Promise<WorkerAnswer<'send' | 'wait' | 'look' | 'sent' | 'lost'>>;
  dispatched(
    worker: string,
    owner: WorkerOwner,
    commandId: string,
  ): Promise<WorkerAnswer<'noted' | 'already' | 'duplicate' | 'over'>>;
  returning(worker: string, owner: WorkerOwner): Promise<WorkerAnswer<'returning' | 'unsent' | 'not_owned'>>;
  endSent(worker: string, owner: WorkerOwner, commandId: string): Promise<WorkerAnswer<'noted' | 'over'>>;
  /** Nothing of the owner's run is left on it; only with proof, or where nothing was sent. */
  free(worker: string, owner: WorkerOwner, exitCode?: number): Promise<WorkerAnswer<'freed' | 'already'>>;
  /** Nobody may use it any more; with `owner` only as long as it is the owner's. */
  quarantine(
    worker: string,
    reason: Reason,
    owner?: WorkerOwner,
  ): Promise<WorkerAnswer<'quarantined' | 'already' | 'not_owned'>>;
  /** What everybody must be told of the worker as it is: that it is out, without proof. The same fact, however often it is asked for. */
  told(worker: string, about: { readonly cause: Cause; readonly correlationId: string }): Promise<Said>;
  /** It will be taken away soon. */
  leaves(worker: string, reason: Reason): Promise<WorkerAnswer<'leaving' | 'left' | 'already'>>;
  /** There is no such machine any more. */
  goes(worker: string, reason: Reason): Promise<WorkerAnswer<'gone' | 'already'>>;
  /** How many places a fleet has: the limit of its slot key. */
  capacityOf(fleet: string): Promise<number>;
}

export interface WorkerAnnounced {
  readonly worker: string;
  readonly fleet: string;
}

export interface WorkerAnswer<Answer extends string> {
  readonly answer: Answer;
  readonly worker: Worker | undefined;
}

export interface RunSignal {
  readonly taskId: string;
  readonly attempt: number;
  readonly nativeId: string;
}

export interface Payloads {
  /** Keeps text under a reference that only somebody who was told it can guess; the same text of the same task has the same one. */
  put(taskId: string, text: string): Promise<string>;
  get(ref: string): Promise<string | undefined>;
  delete(ref: string): Promise<void>;
  /** Deletes whatever is still kept for a task that has ended. */
  forget(taskId: string): Promise<void>;
}

/** Judges a text before compute may see it. */
export interface Screening {
  /** Never throws for a service that fails: what could not be screened is `failed`, which blocks like a finding. */
  screen(asked: { taskId: string; of: ScreenedText; text: string }): Promise<ScreeningVerdict>;
}

/** Texts outside Baton that a task may name. */
export interface Contexts {
  /**
   * What stands at an address; `unavailable` is final. Passing troubles throw `service_throttled` or `service_unavailable`, with
   * `notBefore` where it is known when to ask again.
   */
  fetch(address: string): Promise<FetchedContext>;
}

export type FetchedContext =
  | { readonly outcome: 'fetched'; readonly text: string }
  | { readonly outcome: 'unavailable'; readonly message: string };

/** Tells addresses outside by HTTP. */
export interface Webhooks {
  /**
   * Posts a JSON object, with an id by which the receiver knows a repetition. `refused` is final: the receiver, or the address itself,
   * will not change by waiting. Throws `channel_unavailable` for whatever may pass.
   */
  post(
    target: string,
    body: WebhookBody,
    about: { readonly id: string },
  ): Promise<{ readonly outcome: 'delivered' } | { readonly outcome: 'refused'; readonly message: string }>;
}

/** What configuration says, read at each use. */
export interface Settings {
  readonly stage: string;
  readonly timings: Timings;
  readonly defaultAgentCommand: string;
  /** Whether a request may bring its own agent command. */
  readonly agentCommandAllowed: boolean;
  /** Whether every text of a task must pass screening before compute starts. */
  readonly screening: 'off' | 'required';
  /** The back ends that this deployment has; the first is taken when a request names none. */
  readonly computes: readonly Task['compute'][];
  /** The fleets that this deployment has, for back ends with fleets. */
  readonly fleets: readonly string[];
  /** The slot key of a request: who waits for whom. */
  slotKeyOf(request: TaskRequest & { userId: string }): string;
}

/** What every compute back end offers. Passing troubles throw ComputeError (`compute_throttled`, `…_capacity`, `…_unavailable`, `…_denied`). */
export interface ComputeBackend<Start extends StartRun = StartRun, Handle extends RunHandle = RunHandle> {
  /**
   * Starts a run; the same `clientToken` starts it once. `refused` is final for this attempt: nothing was started, neither by this call
   * nor by an earlier one. Where that is not certain, it throws.
   */
  start(run: Start): Promise<StartOutcome<Handle>>;
  /** Asks a run to end. Nothing but an observation proves that it did. */
  stop(handle: RunHandle, reason: string): Promise<StopOutcome>;
  /**
   * Every run that was started as `startedBy`, and the one of the handle; empty when the back end knows none. `isGone`: a stop has just found
   * nothing behind the handle, so that a back end which is asked by stopping need not be asked again.
   */
  ask(target: { startedBy: string; handle?: RunHandle; isGone?: boolean }): Promise<readonly RunObservation[]>;
}

export interface StartRun {
  readonly taskId: string;
  readonly attempt: number;
  readonly startedBy: string;
  readonly clientToken: string;
  /** Goes into native events as it is: references only, never a secret. */
  readonly environment: Readonly<Record<string, string>>;
  /** Overrides the image's own command, which waits for requests. */
  readonly command: readonly string[];
  /** This start was tried before, and nobody knows what came of it. */
  readonly repeats?: true;
}

/** Runs on ECS are started from a task definition. */
export interface StartEcsRun extends StartRun {
  /** ARN of one revision: never a family, whose newest one may be another's by the time it is started. */
  readonly definition: string;
  readonly capacityProvider: CapacityProvider;
  /** On the task, for people and bills; those of its definition come with them. */
  readonly tags: Readonly<Record<string, string>>;
}

export type EcsBackend = ComputeBackend<StartEcsRun, EcsHandle>;

/** Runs on AgentCore are sessions. */
export interface StartSession extends StartRun {
  readonly session: AgentcoreHandle;
}

export interface AgentcoreBackend extends ComputeBackend<StartSession, AgentcoreHandle> {
  /**
   * The session of an attempt, at the runtime that is configured now. It is known before it exists, and stored before it is started: from
   * then on nothing asks what is configured.
   */
  sessionOf(startedBy: string): AgentcoreHandle;
}

/** Runs of a fleet have a worker, which their attempt has claimed. */
export interface StartOnWorker extends StartRun {
  readonly worker: Ec2Handle;
  /** How long its command may go on, in seconds: no shorter than the task may. */
  readonly executionSeconds: number;
}

export interface FleetBackend extends ComputeBackend<StartOnWorker, Ec2Handle> {
  /**
   * Takes a worker of the fleet for an attempt, and keeps its machine from whoever makes the fleet smaller; undefined when all have something
   * to do, or are about to be taken away. Again by the same attempt it is the same one.
   */
  claim(fleet: string, owner: WorkerOwner): Promise<string | undefined>;
  /** Gives a claim back for which nothing was sent. */
  giveBack(worker: string, owner: WorkerOwner): Promise<void>;
  /** The handle of an attempt on a worker that it has claimed: stored before anything is sent. */
  handleOf(claimed: { readonly worker: string; readonly fleet: string; readonly owner: WorkerOwner }): Ec2Handle;
  /** What Systems Manager said of a command on a worker. */
  observeCommand(said: SsmCommandInvocationDetail): Promise<FleetReading>;
  /** The machine is gone. */
  observeLoss(instanceId: string, reason: Reason): Promise<FleetReading>;
  /** The machine will be taken away soon: `endsRuns`, so soon that its run must save its work now. */
  observeNotice(instanceId: string, reason: Reason, endsRuns: boolean): Promise<FleetReading>;
}

/** The machines of workers. Passing troubles throw ComputeError. */
export interface Machines {
  /** Whether that fleet's group has such a machine; undefined where nobody can tell. One that it has not may run all the same. */
  isThere(worker: string, fleet: string): Promise<boolean | undefined>;
  /** Takes a machine away and has another in its place. One that is gone is no trouble. */
  replace(machine: WorkerAnnounced): Promise<void>;
  /**
   * Whether a fleet that becomes smaller may take the machine. False: it is gone, or about to be taken away, and nothing keeps it. One that
   * is not in service yet is not looked at by whoever makes a fleet smaller.
   */
  protect(machine: WorkerAnnounced, on: boolean): Promise<boolean>;
  /** Lets a machine begin its work, or go: whoever made it, or wants to take it away, waits for that. Nobody waits is no trouble. */
  proceed(machine: WorkerAnnounced, to: LifecycleHook): Promise<void>;
}

/** What is said of machines by whoever runs them, in whichever group they are. Passing troubles throw ComputeError. */
export interface Instances {
  /**
   * Whether it has ended, or is not known any more: nothing of it runs, and nothing will. One that is `stopped` may be started again, so it
   * is not gone; an event that says `stopped` ends its run all the same, since its host begins no attempt twice.
   */
  isGone(worker: string): Promise<boolean>;
}

/** What an event of AWS says about a run; or why nothing. */
export interface FleetReading {
  readonly observation?: RunObservation;
  /** Logged and counted, never guessed into an end. */
  readonly remark?: string;
}

/** The task definitions from which runs on ECS start. Nothing is remembered between two calls but what is in the records. */
export interface Definitions {
  /** The newest of those that infrastructure wrote. */
  base(): Promise<RunDefinition>;
  /** The clone of it for one user, registered where there is none yet. */
  ofUser(asked: AskedDefinition): Promise<RunDefinition>;
}

export interface AskedDefinition {
  readonly userId: string;
  /** Name of the configuration whose terms they are. */
  readonly configuration: string;
  readonly terms: UserTerms;
  /** Who asks: the same start that comes again goes on where it ended. */
  readonly by: string;
}

export type RunDefinition =
  | { readonly outcome: 'ready'; readonly arn: string }
  /** Not now: somebody else registers it, or ECS takes no more registrations at the moment. */
  | { readonly outcome: 'later'; readonly message: string }
  | { readonly outcome: 'refused'; readonly reason: Reason };

export type StartOutcome<Handle extends RunHandle = RunHandle> =
  | { readonly outcome: 'started'; readonly handle: Handle }
  /**
   * `pauseSeconds`: no run failed, there was no room for one; it is worth waiting that long. `isLeft`: something was begun that is no run,
   * and has been told to stop; it has to be seen to end.
   */
  | { readonly outcome: 'refused'; readonly reason: Reason; readonly pauseSeconds?: number; readonly isLeft?: true };

export type StopOutcome = 'stopping' | 'already_ended' | 'not_found';

// ── What worlds are made of; handlers never see it ───────────────────────────────────────────────

export interface StoredRecord {
  readonly key: string;
  readonly revision: number;
  /** Plain JSON, never mutated. */
  readonly value: unknown;
}

/** Sparse listing index: user, time, and whether the record still needs attention. */
export interface RecordIndex {
  readonly by: string;
  readonly at: string;
  readonly open: boolean;
}

export type PutResult =
  | { readonly outcome: 'written'; readonly revision: number }
  | {
      readonly outcome: 'conflict';
      readonly current: StoredRecord | undefined;
      /** An earlier try of this put may have been written and overwritten since: its answer was lost. */
      readonly unsure?: true;
    };

/** The one store port: compare-and-set on whole records. Everything above it is written once for all worlds. */
export interface RecordStore {
  get(key: string): Promise<StoredRecord | undefined>;
  /**
   * `expected`: 'absent' creates only, a revision replaces exactly that one, 'any' replaces whatever is there. The first revision is 1.
   * The index is replaced with the record: a put without one takes the record out of every listing.
   */
  put(key: string, value: unknown, expected: number | 'absent' | 'any', index?: RecordIndex): Promise<PutResult>;
  delete(key: string): Promise<void>;
  /** Records whose key starts with `prefix`, by key, after `after` (exclusive). */
  list(prefix: string, options: { after?: string; limit: number }): Promise<StoredRecord[]>;
  /** Indexed records, newest `at` first and highest key first, beginning behind the place `before` of an earlier answer. */
  query(options: {
    by?: string;
    open?: boolean;
    before?: { at: string; key: string };
    limit: number;
  }): Promise<StoredRecord[]>;
  /** Resolves when everything written before is on disk. Outside effects wait for it; steps inside need not. */
  durable(): Promise<void>;
  close(): Promise<void>;
}

/** Wakes a task at or after a time, at least once. Setting the same time twice is harmless. */
export interface Alarms {
  arm(taskId: string, at: string): Promise<void>;
}

/** Remembers, bounded, what was ignored and what came twice; never part of a task. */
export interface Journal {
  ignored(taskId: string, cause: Cause, reason: string): void;
  duplicate(taskId: string, cause: Cause): void;
}

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { isAlive, killAll, signal } from '../../agent/supervisor-processes.ts';
import type { EcsTaskStateChangeDetail } from '../../events/aws/ecs-task-state-change.ts';
import { AGENT_CONTAINER, readEcsTask } from '../../lifecycle/ecs-task.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { because, type Reason } from '../../schemas/reason.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import { type EcsHandle, ownHandle } from '../../schemas/run-handle.ts';
import type { ExitRecord, ProcessIdentity, RunMarker, RunSpec } from '../../schemas/supervised-run.ts';
import { USER_FILES_VARIABLE, USER_SECRETS_VARIABLE } from '../../schemas/task-definition.ts';
import { BatonError, ComputeError } from '../errors.ts';
import type { Clock, EcsBackend, RecordStore, StartOutcome, StartRun } from '../ports.ts';
import { agentContainerOf, type Given, givenBy, NotGiven } from './local-definition.ts';
import { isSameRun, type LocalRun, whyInvalid } from './local-ecs-run.ts';
import { type RunDir, runDir } from './local-ecs-run-dir.ts';
import {
  type EcsTaskRecord,
  ecsTaskIdOf,
  exited,
  handleOf,
  idInArn,
  interrupted,
  isStopped,
  neverRan,
  newTask,
  running,
  stateChangeEvent,
  stopping,
  tagsOf,
  taskArnOf,
} from './local-ecs-task.ts';
import type { LocalRegistry, LocalRevision } from './local-registry.ts';

/** Stopped tasks stay describable, and their client tokens known, this long: the time for which ECS honours a token. */
const DESCRIBABLE_MS = 24 * 3_600_000;
/** Looks for records to drop this often; nobody waits for it. */
const PRUNE_INTERVAL_MS = 3_600_000;
/** Looks whether a runner has started this often: the wait is a few Node start-ups long. */
const STARTING_POLL_MS = 25;
/** After this time in starting, the ordinary interval is enough. */
const STARTING_FAST_MS = 10_000;
/** Looks whether a run has ended whose supervisor is not our child, as after a restart. A look costs about 30 µs. */
const ADOPTED_POLL_MS = 250;
/** Looks at runs whose supervisor is our child: its exit wakes us, so this only covers what cannot happen. */
const CHILD_POLL_MS = 2_000;
/** Looks this often at a run whose directory cannot be read, or of which something cannot be killed. */
const TROUBLE_POLL_MS = 2_000;
/** Beyond the stop time-out a supervisor has this long to end its run before it is killed itself. */
const STOP_MARGIN_MS = 10_000;
/** `onExit` may fail this often before the end is published without it: an end must not wait for ever. */
const ON_EXIT_TRIES = 5;
/** Output kept per run, in bytes, besides the last 64 KiB. */
const AGENT_LOG_MAX_BYTES = 64 * 1024 * 1024;
/** SIGTERM to SIGKILL as ECS has it by default, in seconds. */
const STOP_TIMEOUT_S = 30;
/** Records read at once when all tasks are gone through. */
const LIST_PAGE = 200;

const KEY_PREFIX = 'ECSTASK#';

export type EcsTaskEvent = Envelope<string, EcsTaskStateChangeDetail>;

/** A run that has ended (`exit` undefined: it never ran) but is not yet seen to be STOPPED. */
export interface EndedRun {
  readonly taskArn: string;
  readonly taskId: string;
  readonly attempt: number;
  readonly runDir: string;
  readonly exit: ExitRecord | undefined;
}

/**
 * Asked before a run starts: a text is the reason for which its task fails to start; a reason of the registry (`no_capacity`,
 * `start_throttled`, `start_refused`) has the start refused, with no task at all.
 */
export type FailStart = (run: StartRun) => string | Reason | undefined;

/** How a machine takes a run away: Spot capacity (of a run on Spot alone) with a warning and SIGTERM, a host without a word. */
export type Interruption = 'spot' | 'host';

export interface LocalEcsOptions {
  store: RecordStore;
  /** Takes state changes, in order per task. They are offered again until it accepts them. */
  bus: (events: EcsTaskEvent[]) => Promise<void>;
  clock: Clock;
  /** Where the definitions are that runs name. */
  registry: Pick<LocalRegistry, 'revision'>;
  dataDir: string;
  /** Where runners find the running world. */
  worldFile: string;
  /** Program and arguments of the agent runner; the command of a run is added. */
  runnerCommand: string[];
  /** Program and arguments of the supervisor; the run directory is added. */
  supervisorCommand: string[];
  stopTimeoutSeconds?: number;
  logMaxBytes?: number;
  /** Fault for tests and demonstrations. */
  failStart?: FailStart;
  /** Variables that a run gets besides, and that no event shows. */
  secretEnvironment?: (run: StartRun) => Readonly<Record<string, string>>;
  /** Called before STOPPED is shown or published; may be called again for the same end. */
  onExit?: (ended: EndedRun) => Promise<void>;
  /** Told what went wrong but is tried again. */
  warn?: (message: string, error: unknown) => void;
}

export interface LocalEcs extends EcsBackend {
  /** Starts as RunTask does: a client token that was used with other parameters is a conflict; `start` adopts its task. */
  startOnce(
    run: LocalRun,
  ): Promise<StartOutcome<EcsHandle> | { readonly outcome: 'conflict'; readonly taskArn: string }>;
  /** Every task that can be described, or those that were started as `startedBy`. */
  taskArns(startedBy?: string): string[];
  /** The task as DescribeTasks shows it; a running one was just seen to live. */
  describe(taskArn: string): Promise<EcsTaskStateChangeDetail | undefined>;
  /** Tags of a task, which no event shows: its own and those of its definition, until somebody stops it. */
  tags(taskArn: string): Promise<Readonly<Record<string, string>>>;
  /** Takes up all unfinished tasks of an earlier process. Call once, before the first `start`. */
  recover(): Promise<void>;
  /** Takes the machine away under a running task, as AWS does. False if it does not run, or not on such capacity. For tests and demonstrations. */
  interrupt(taskArn: string, how: Interruption): Promise<boolean>;
  /** Output of runner and agent; the file may not exist yet. Undefined if the ARN is none of ours. */
  logPath(taskArn: string): string | undefined;
  /** Stops looking; the runs go on. */
  close(): Promise<void>;
}

/** A task that is not STOPPED, or whose changes are not all published. */
interface OpenTask {
  readonly id: string;
  readonly dir: RunDir;
  record: EcsTaskRecord;
  revision: number;
  /** The supervisor that this process started. */
  child?: ChildProcess;
  /** Why no supervisor of this process will start the runner. */
  launchFailure?: string;
  onExitTries: number;
  /** Not yet taken up after a restart, because something about it could not be read. */
  isLeftOver?: boolean;
  /** What was wrong at the last look; said once. */
  trouble?: string;
  readonly openedAtMs: number;
  timer?: NodeJS.Timeout;
  /** The end of the work that is queued for this task. */
  turn: Promise<unknown>;
}

/**
 * ECS on this machine: every task is a real process under a supervisor that outlives Baton, every change of state is published as
 * EventBridge would. What happens to one task happens in turns; the store has each change before the bus does.
 */
export function localEcs(options: LocalEcsOptions): LocalEcs {
  const { store, clock } = options;
  const dataDir = resolve(options.dataDir);
  const runsDir = join(dataDir, 'runs');
  const stopTimeoutSeconds = options.stopTimeoutSeconds ?? STOP_TIMEOUT_S;
  const warn = options.warn ?? (() => undefined);
  const open = new Map<string, OpenTask>();
  const idsStartedBy = new Map<string, Set<string>>();
  let closed = false;
  const pruning = setInterval(
    () => void prune().catch((error) => warn('old tasks not dropped', error)),
    PRUNE_INTERVAL_MS,
  );
  pruning.unref();

  return {
    async start(run) {
      const started = await startOnce(run);
      if (started.outcome !== 'conflict') return started;
      warn(
        `ConflictException: ${run.clientToken} was used with other parameters; its task is adopted`,
        started.taskArn,
      );
      const { taskDefinitionArn } = (await describe(started.taskArn)) ?? {};
      return { outcome: 'started', handle: handleOf(ecsTaskIdOf(run.clientToken), taskDefinitionArn) };
    },

    startOnce,

    taskArns(startedBy) {
      const ids = startedBy === undefined ? [...idsStartedBy.values()] : [idsStartedBy.get(startedBy) ?? []];
      return ids.flatMap((some) => [...some].map(taskArnOf));
    },

    async stop(handle, reason) {
      const task = await find(ownHandle('ecs', handle).taskArn);
      if (task === undefined) return 'not_found';
      return inTurn(task, async () => {
        await look(task);
        if (isStopped(task.record)) return 'already_ended';
        const next = stopping(task.record, reason, clock.now());
        if (next !== task.record) await keep(task, next);
        await store.durable();
        await look(task);
        return 'stopping';
      });
    },

    async ask({ startedBy, handle }) {
      const arns = new Set([...(idsStartedBy.get(startedBy) ?? [])].map(taskArnOf));
      if (handle) arns.add(ownHandle('ecs', handle).taskArn);
      const details = await Promise.all([...arns].map(describe));
      return details.flatMap((detail) => (detail && readEcsTask(detail).observation) ?? []);
    },

    describe,

    async tags(taskArn) {
      const task = await find(taskArn);
      return task ? tagsOf(task.record) : {};
    },

    async interrupt(taskArn, how) {
      const task = await find(taskArn);
      if (task === undefined) return false;
      return inTurn(task, async () => {
        await look(task);
        const next = interrupted(task.record, how, clock.now());
        if (next === task.record) return false;
        await keep(task, next);
        await store.durable();
        await look(task);
        return true;
      });
    },

    async recover() {
      await prune();
      for await (const { id, record, revision } of allTasks()) {
        remember(id, record.run.startedBy);
        if (open.has(id) || (isStopped(record) && record.unpublished.length === 0)) continue;
        const task = opened(id, record, revision);
        task.isLeftOver = true;
        await inTurn(task, () => takeUp(task)).catch((error) => {
          if (error instanceof BatonError) throw error;
          troubled(task, error);
        });
      }
    },

    logPath(taskArn) {
      const id = idInArn(taskArn);
      return id && join(runsDir, id, RUN_FILES.log);
    },

    async close() {
      closed = true;
      clearInterval(pruning);
      for (const task of open.values()) clearTimeout(task.timer);
      await Promise.allSettled([...open.values()].map((task) => task.turn));
    },
  };

  async function startOnce(run: LocalRun): ReturnType<LocalEcs['startOnce']> {
    const invalid = whyInvalid(run);
    if (invalid !== undefined) return startRefused(`InvalidParameterException: ${invalid}`);
    const id = ecsTaskIdOf(run.clientToken);
    // A token that has its task gets no other answer any more, whatever became of the definition since.
    const known = await store.get(KEY_PREFIX + id);
    if (known) return startedBefore(id, recordOf(known.value), run);
    const failure = options.failStart?.(run);
    if (typeof failure === 'object') return { outcome: 'refused', reason: failure };
    const definition = await options.registry.revision(run.definition);
    if (definition === undefined) return startRefused('ClientException: TaskDefinition not found.');
    const unusable = whyUnusable(definition);
    if (unusable !== undefined) return startRefused(unusable);
    const record = newTask(run, clock.now(), definition);
    const put = await store.put(KEY_PREFIX + id, record, 'absent');
    if (put.outcome === 'conflict') return startedBefore(id, put.current ? recordOf(put.current.value) : record, run);
    remember(id, run.startedBy);
    const task = opened(id, record, put.revision);
    await inTurn(task, () => launch(task, typeof failure === 'string' ? failure : undefined));
    await store.durable();
    return { outcome: 'started', handle: handleOf(id, definition.arn) };
  }

  async function startedBefore(id: string, record: EcsTaskRecord, run: LocalRun): ReturnType<LocalEcs['startOnce']> {
    await store.durable();
    if (!isSameRun(record.run, run)) return { outcome: 'conflict', taskArn: taskArnOf(id) };
    return { outcome: 'started', handle: handleOf(id, record.detail.taskDefinitionArn) };
  }

  async function describe(taskArn: string): Promise<EcsTaskStateChangeDetail | undefined> {
    const task = await find(taskArn);
    if (task === undefined) return undefined;
    if (!isStopped(task.record)) await inTurn(task, () => look(task));
    return task.record.detail;
  }

  function remember(id: string, startedBy: string): void {
    idsStartedBy.set(startedBy, (idsStartedBy.get(startedBy) ?? new Set()).add(id));
  }

  async function find(taskArn: string): Promise<OpenTask | undefined> {
    const id = idInArn(taskArn);
    if (id === undefined) return undefined;
    const stored = open.has(id) ? undefined : await store.get(KEY_PREFIX + id);
    return open.get(id) ?? (stored && opened(id, recordOf(stored.value), stored.revision));
  }

  /** Takes a task into view; a stopped and published one only for the caller. */
  function opened(id: string, record: EcsTaskRecord, revision: number): OpenTask {
    const known = open.get(id);
    if (known) return known;
    const dir = runDir(join(runsDir, id));
    const task = { id, dir, record, revision, onExitTries: 0, openedAtMs: Date.now(), turn: Promise.resolve() };
    if (!isStopped(record) || record.unpublished.length > 0) open.set(id, task);
    return task;
  }

  /** One thing at a time per task, in the order of asking; then looks again when it is due. */
  function inTurn<Answer>(task: OpenTask, work: () => Promise<Answer>): Promise<Answer> {
    const answer = task.turn.then(work);
    task.turn = answer.then(
      () => lookLater(task),
      () => lookLater(task),
    );
    return answer;
  }

  function lookLater(task: OpenTask): void {
    clearTimeout(task.timer);
    if (isStopped(task.record) && task.record.unpublished.length === 0) open.delete(task.id);
    if (closed || !open.has(task.id)) return;
    task.timer = setTimeout(() => lookNow(task), pollMsOf(task));
    task.timer.unref();
  }

  function lookNow(task: OpenTask): void {
    if (closed) return;
    inTurn(task, () => (task.isLeftOver ? takeUp(task) : look(task))).catch((error) => troubled(task, error));
  }

  /** One run that cannot be looked at keeps neither the others nor the world from going on. */
  function troubled(task: OpenTask, error: unknown): void {
    if (task.trouble !== String(error)) warn(`${task.record.detail.taskArn}: not looked at, tried again`, error);
    task.trouble = String(error);
  }

  /** Goes on with a task of an earlier process: starts it only if nobody has. */
  async function takeUp(task: OpenTask): Promise<void> {
    const { record, dir } = task;
    await (dir.marker() || record.stop || isStopped(record) ? look(task) : launch(task));
    delete task.isLeftOver;
  }

  /** Starts a supervisor for the task. Harmless if one was started before: only one of them gets the marker. */
  async function launch(task: OpenTask, told?: string): Promise<void> {
    await store.durable();
    const failure = told ?? missingProgram();
    const { definition } = task.record.run;
    const from =
      failure === undefined && definition !== undefined ? await options.registry.revision(definition) : undefined;
    try {
      if (failure === undefined) startSupervisor(task, givenBy(from?.definition ?? {}, dataDir));
      else task.launchFailure = failure;
    } catch (error) {
      task.launchFailure = error instanceof NotGiven ? error.message : couldNotPrepare(error);
    }
    await publish(task);
    await look(task);
  }

  function missingProgram(): string | undefined {
    const files = [...options.supervisorCommand, ...options.runnerCommand].filter(isAbsolute);
    const missing = files.find((file) => !existsSync(file));
    return missing && `CannotStartContainerError: ${missing} does not exist`;
  }

  function specOf({ record, dir }: OpenTask, { environment }: Given): RunSpec {
    return {
      schemaVersion: 1,
      taskArn: record.detail.taskArn,
      command: [...options.runnerCommand, ...record.run.command],
      environment: {
        ...environment,
        ...record.run.environment,
        ...options.secretEnvironment?.(record.run),
        BATON_NATIVE_ID: record.detail.taskArn,
        BATON_WORLD_FILE: resolve(options.worldFile),
        BATON_RUN_DIR: dir.path,
        BATON_STOP_TIMEOUT_S: String(stopTimeoutSeconds),
      },
      cwd: dir.path,
      stopTimeoutSeconds,
      logMaxBytes: options.logMaxBytes ?? AGENT_LOG_MAX_BYTES,
    };
  }

  function startSupervisor(task: OpenTask, given: Given): void {
    task.dir.prepare(specOf(task, given));
    const [program = '', ...parameters] = options.supervisorCommand;
    const output = openSync(task.dir.file(RUN_FILES.supervisorLog), 'a', 0o600);
    try {
      const stdio = ['ignore', output, output] as const;
      const child = spawn(program, [...parameters, task.dir.path], {
        cwd: task.dir.path,
        // What the supervisor is given it hands on to the runner; no file has it. What is a user's comes from the definition alone.
        env: { ...process.env, [USER_FILES_VARIABLE]: undefined, [USER_SECRETS_VARIABLE]: undefined, ...given.secrets },
        detached: true,
        stdio: [...stdio],
      });
      task.child = child;
      const gone = (why: string) => {
        task.launchFailure = why;
        delete task.child;
        lookNow(task);
      };
      child.once('error', (error) => gone(`CannotStartContainerError: ${error.message}`));
      child.once('exit', (code, name) =>
        gone(`InternalError: the supervisor ended (${name ?? code}) before the runner started`),
      );
      child.unref();
    } finally {
      closeSync(output);
    }
  }

  /**
   * Compares what the record says with what the run directory and the process table say, and takes the steps between. A wanted stop
   * is said at every look: the supervisor may have come up a moment ago, and hears it once.
   */
  async function look(task: OpenTask): Promise<void> {
    await publish(task);
    if (isStopped(task.record)) return;
    const marker = task.dir.marker() ?? abandoned(task);
    if (marker === undefined) return;
    if (marker.owner === undefined) return endNeverRun(task, marker.abandoned);

    let exit = task.dir.exit();
    let died: string | undefined;
    if (exit === undefined && !isAlive(marker.owner)) {
      exit = task.dir.exit();
      if (exit === undefined) {
        exit = await lost(task, marker.owner);
        if (exit === undefined) return;
        died = 'InternalError: the supervisor of the run was killed; what was left of the run was killed too';
      }
    }
    if (exit?.survivors && !(await isGone(task, marker.owner))) exit = undefined;
    const started = task.dir.started();
    if (started) await change(task, running(task.record, started.startedAt, clock.now()));
    if (exit && started) return end(task, exit, (ended) => exited(ended, exit, died, clock.now()));
    if (exit)
      return endNeverRun(task, exit.error ? `CannotStartContainerError: ${exit.error}` : (died ?? 'InternalError'));
    const { stop } = task.record;
    if (stop) signal(marker.owner, stop.atOnce || isStopOverdue(stop.at) ? 'SIGKILL' : 'SIGTERM');
  }

  /** Nobody has started the runner: when nobody shall, this makes it final. */
  function abandoned(task: OpenTask): RunMarker | undefined {
    const reason = task.record.stop ? task.record.stop.reason : task.child ? undefined : task.launchFailure;
    if (reason === undefined) return undefined;
    try {
      return task.dir.abandon(reason) ? { abandoned: reason } : task.dir.marker();
    } catch (error) {
      warn(`${task.dir.path}: not writable`, error);
      return existsSync(task.dir.file(RUN_FILES.spec)) ? undefined : { abandoned: reason };
    }
  }

  /** The supervisor is dead and left no word: nothing of its run may live on. Undefined while something does. */
  async function lost(task: OpenTask, owner: ProcessIdentity): Promise<ExitRecord | undefined> {
    const started = task.dir.started();
    if (!(await isGone(task, owner))) return undefined;
    return { exitCode: 137, signal: null, startedAt: started?.startedAt ?? null, endedAt: clock.now() };
  }

  /** Kills what is left of a run. False while something is: then the run has not ended, and the next look tries again. */
  async function isGone(task: OpenTask, owner: ProcessIdentity): Promise<boolean> {
    const left = await killAll({ leader: task.dir.started()?.child, origin: owner, places: [task.dir.path] });
    if (left > 0) troubled(task, new Error(`${left} processes of the run could not be killed`));
    return left === 0;
  }

  function isStopOverdue(since: string): boolean {
    return Date.parse(clock.now()) - Date.parse(since) > stopTimeoutSeconds * 1_000 + STOP_MARGIN_MS;
  }

  function endNeverRun(task: OpenTask, reason: string): Promise<void> {
    return end(task, undefined, (record) => neverRan(record, reason, clock.now()));
  }

  async function end(
    task: OpenTask,
    exit: ExitRecord | undefined,
    next: (record: EcsTaskRecord) => EcsTaskRecord,
  ): Promise<void> {
    const { taskId, attempt } = task.record.run;
    try {
      await options.onExit?.({ taskArn: task.record.detail.taskArn, taskId, attempt, runDir: task.dir.path, exit });
    } catch (error) {
      warn(`${task.dir.path}: the end was not taken`, error);
      task.onExitTries += 1;
      if (task.onExitTries < ON_EXIT_TRIES) return;
    }
    await change(task, next(task.record));
  }

  async function change(task: OpenTask, next: EcsTaskRecord): Promise<void> {
    if (next === task.record) return;
    await keep(task, next);
    await publish(task);
  }

  /** This process is the only writer of a task, so a conflict means that two worlds share one store. */
  async function keep(task: OpenTask, next: EcsTaskRecord): Promise<void> {
    const put = await store.put(KEY_PREFIX + task.id, next, task.revision);
    if (put.outcome === 'conflict') {
      open.delete(task.id);
      throw new ComputeError('compute_unavailable', `${taskArnOf(task.id)} was changed by another process`);
    }
    task.record = next;
    task.revision = put.revision;
  }

  /** Published first, then recorded as such: a crash in between publishes again, byte for byte. */
  async function publish(task: OpenTask): Promise<void> {
    if (task.record.unpublished.length === 0) return;
    try {
      await options.bus(task.record.unpublished.map(stateChangeEvent));
    } catch (error) {
      warn(`${task.record.detail.taskArn}: changes not published, tried again`, error);
      return;
    }
    await keep(task, { ...task.record, unpublished: [] });
  }

  async function prune(): Promise<void> {
    const before = Date.parse(clock.now()) - DESCRIBABLE_MS;
    for await (const { id, record } of allTasks()) {
      const isOld = Date.parse(record.detail.stoppedAt ?? record.detail.updatedAt ?? '') < before;
      if (!isStopped(record) || record.unpublished.length > 0 || !isOld) continue;
      await store.delete(KEY_PREFIX + id);
      idsStartedBy.delete(record.run.startedBy);
    }
  }

  async function* allTasks(): AsyncGenerator<{ id: string; record: EcsTaskRecord; revision: number }> {
    let after: string | undefined;
    for (;;) {
      const page = await store.list(KEY_PREFIX, { limit: LIST_PAGE, ...(after === undefined ? {} : { after }) });
      for (const { key, value, revision } of page) {
        yield { id: key.slice(KEY_PREFIX.length), record: recordOf(value), revision };
      }
      after = page.at(-1)?.key;
      if (page.length < LIST_PAGE) return;
    }
  }
}

function pollMsOf(task: OpenTask): number {
  const isStarting = task.record.detail.startedAt === undefined && Date.now() - task.openedAtMs < STARTING_FAST_MS;
  if (task.trouble !== undefined) return TROUBLE_POLL_MS;
  if (isStarting) return STARTING_POLL_MS;
  return task.child ? CHILD_POLL_MS : ADOPTED_POLL_MS;
}

/** In the words of ECS; undefined if runs can be started from it. */
function whyUnusable({ status, definition }: LocalRevision): string | undefined {
  if (status === 'INACTIVE') return 'ClientException: TaskDefinition is inactive';
  if (agentContainerOf(definition)) return undefined;
  return `InvalidParameterException: Override for container named ${AGENT_CONTAINER} is not a container in the TaskDefinition.`;
}

const startRefused = (message: string): StartOutcome<EcsHandle> => ({
  outcome: 'refused',
  reason: because('start_refused', message),
});

/** What the file system or `spawn` says, under the category that AWS puts before such reasons. */
const couldNotPrepare = (error: unknown): string =>
  `ResourceInitializationError: ${error instanceof Error ? error.message : String(error)}`;

/** Only this adapter writes these records. */
const recordOf = (value: unknown): EcsTaskRecord => value as EcsTaskRecord;

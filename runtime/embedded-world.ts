import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readWhole } from '../agent/supervisor-files.ts';
import { reactions } from '../handlers/index.ts';
import { embeddedTimings, type Timings } from '../lifecycle/timings.ts';
import { embeddedFleetWaits } from '../lifecycle/worker.ts';
import { rules } from '../rules/index.ts';
import { agentReport } from '../schemas/agent-report.ts';
import { parseSessionId, sessionInvocation } from '../schemas/agentcore-session.ts';
import type { BatonEvent, Envelope } from '../schemas/envelope.ts';
import { RUN_FILES } from '../schemas/run-files.ts';
import { DEFAULT_AGENT_COMMAND, type TaskRequest } from '../schemas/task-request.ts';
import type { TaskSummary, TaskView } from '../schemas/task-view.ts';
import type { WorldView } from '../schemas/world-api.ts';
import { definitionsOver } from './definitions.ts';
import { embeddedComputes } from './embedded-computes.ts';
import {
  type EmbeddedFleetOptions,
  embeddedFleet,
  FLEET,
  LOCAL_STAGE,
  machinesOf,
  RUN_DOCUMENT,
} from './embedded-fleet.ts';
import { awsEndpoint } from './endpoint/aws/aws-endpoint.ts';
import { embeddedServices } from './endpoint/aws/embedded-services.ts';
import { deadLetterDesk } from './endpoint/dead-letter-desk.ts';
import { deadLetterRoutes } from './endpoint/dead-letter-routes.ts';
import { eventStreams } from './endpoint/event-stream.ts';
import { type LoopbackServer, loopbackServer } from './endpoint/loopback-server.ts';
import { PAYLOAD_SECRET_NAME, type PayloadSecrets, payloadSecrets } from './endpoint/payload-secret.ts';
import { replayDesk } from './endpoint/replay-desk.ts';
import { replayRoutes } from './endpoint/replay-routes.ts';
import { repositoryDesk } from './endpoint/repository-desk.ts';
import { repositoryRoutes } from './endpoint/repository-routes.ts';
import { runRoutes } from './endpoint/run-routes.ts';
import { type ListOptions, type TaskDesk, taskDesk } from './endpoint/task-desk.ts';
import { taskRoutes } from './endpoint/task-routes.ts';
import { workerDesk } from './endpoint/worker-desk.ts';
import { workerRoutes } from './endpoint/worker-routes.ts';
import { worldRoutes } from './endpoint/world-routes.ts';
import { type DataDir, openDataDir } from './engine/data-dir.ts';
import { deadLetterBox } from './engine/dead-letter-box.ts';
import { createEngine, type Engine } from './engine/engine.ts';
import type { DeadLetter } from './engine/event-bus.ts';
import { fileArchive } from './engine/file-archive.ts';
import { openLibsqlStore } from './engine/libsql-store.ts';
import { localAgentcore } from './engine/local-agentcore.ts';
import {
  LOCAL_RUNTIME,
  type LocalAgentcore,
  type LocalAgentcoreOptions,
  type SessionName,
} from './engine/local-agentcore-session.ts';
import { deployBase, LOCAL_FAMILY } from './engine/local-base.ts';
import { localCommands } from './engine/local-commands.ts';
import { type FailStart, type Interruption, type LocalEcs, localEcs } from './engine/local-ecs.ts';
import { ecsTaskIdOf } from './engine/local-ecs-task.ts';
import type { LocalFleet } from './engine/local-fleet-records.ts';
import { localRegistry } from './engine/local-registry.ts';
import { localSessions } from './engine/local-sessions.ts';
import { observedStore } from './engine/observed-store.ts';
import { runKeeping } from './engine/run-keeping.ts';
import { realScheduler } from './engine/scheduler.ts';
import { noScreening, standInScreening } from './engine/stand-in-screening.ts';
import { taskCensus } from './engine/task-census.ts';
import { undoneIn } from './engine/undone.ts';
import { acquireWorldLock } from './engine/world-lock.ts';
import { BatonError, StoreError } from './errors.ts';
import { fleetBackend } from './fleet-backend.ts';
import { githubContexts } from './github-contexts.ts';
import type { RunSignal, Screening } from './ports.ts';
import { replayOf } from './react.ts';
import type { RunnerSide } from './runs.ts';
import { livesOver, type SessionBackendOptions, sessionBackend } from './session-backend.ts';
import { batonVersion } from './version.ts';
import { webhooksOver } from './webhooks.ts';

/** Tasks of one user that run at the same time on one machine: coding agents build and test, and four of them keep a laptop busy. */
export const TASKS_AT_ONCE = 4;
export interface WorldOptions {
  readonly dataDir: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly timings?: Timings;
  /** How many tasks of a user may run at once. */
  readonly limit?: number;
  /** How often events are delivered: to show that duplicates do no harm. */
  readonly copies?: number | ((event: Envelope) => number);
  readonly defaultAgentCommand?: string;
  /** Program and arguments of the agent runner, and of the process that watches over it. Default: the bundles of this build. */
  readonly runnerCommand?: readonly string[];
  readonly supervisorCommand?: readonly string[];
  /** Seconds between SIGTERM and SIGKILL of a run. */
  readonly stopTimeoutSeconds?: number;
  /** Makes runs fail to start, or has their starts refused: for tests and demonstrations. */
  readonly failStart?: FailStart;
  /** Limits of sessions, and what is refused to them: for tests and demonstrations. */
  readonly sessions?: Pick<LocalAgentcoreOptions, 'limits' | 'failing' | 'ignoresStop'> &
    Pick<SessionBackendOptions, 'pauseSeconds'>;
  /** Size of the fleet and what goes wrong with it: for tests and demonstrations. */
  readonly fleet?: NonNullable<EmbeddedFleetOptions['changes']>;
  /** Fewest workers that may be left by hand: default as many as the fleet has, as on AWS. For tests. */
  readonly fleetMinSize?: number;
  /** Bounds the store at this many pages of 4 KiB, as a full disk would. For tests. */
  readonly maxStorePages?: number;
  /** What screens the texts of tasks before compute starts; without it none is screened. */
  readonly screening?: 'stand-in' | Screening;
  /** How GitHub is asked for the issues and pull requests that tasks name: default as a stranger, who may read what is public. */
  readonly github?: { readonly token?: string | undefined; readonly url?: string | undefined };
  /** Told of deliveries that were given up. */
  readonly onDeadLetter?: (letter: DeadLetter) => void;
  /** Told what went wrong but is tried again. */
  readonly warn?: (message: string, error: unknown) => void;
}

/** Baton on one machine: handlers, bus, alarms and store in this process, agents in processes of their own that outlive it. */
export interface World {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly engine: Engine;
  submit(request: TaskRequest): Promise<TaskView>;
  cancel(taskId: string, reason?: string): Promise<TaskView>;
  view(taskId: string): Promise<TaskView>;
  list(options?: ListOptions): Promise<TaskSummary[]>;
  /** File that keeps the output of the current attempt, or of an earlier one; it may not exist yet. */
  logPath(taskId: string, attempt?: number): Promise<string>;
  /** Hears every published event. */
  listen(hear: (event: Envelope) => void): () => void;
  /** Takes the machine away under the task's run, as AWS does. False if it does not run. For tests and demonstrations. */
  interrupt(taskId: string, how: Interruption): Promise<boolean>;
  /** How many tasks are not settled. */
  unsettled(): number;
  /** Resolves when the store takes nothing any more; the world then closes by itself, and the next start takes everything up. Never rejects. */
  readonly failed: Promise<BatonError>;
  /** Stops taking requests, ends what is under way, and gives the data directory free. Runs go on; the next world takes them up. */
  close(): Promise<void>;
}

/**
 * Opens the world of a data directory, or makes one, and takes up what an earlier process left. Throws BatonError: `store_locked`
 * (another world runs here), `store_unwritable`, `store_corrupt`, `store_full`, `port_in_use`; then nothing stays locked or running.
 */
export async function openWorld(options: WorldOptions): Promise<World> {
  const dataDir = openDataDir(options.dataDir);
  const undo: (() => void | Promise<void>)[] = [];
  try {
    const lock = acquireWorldLock(dataDir.path);
    undo.push(() => lock.release());
    const server = await loopbackServer(options.port ?? 0);
    undo.push(() => server.close());
    return await opened(options, dataDir, server, undo);
  } catch (error) {
    await undone(undo);
    throw error;
  }
}

/** Undoes in the opposite order; a step that fails does not keep the others from being taken. Answers the first failure. */
async function undone(undo: (() => void | Promise<void>)[]): Promise<unknown> {
  let failure: unknown;
  for (const step of undo.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      failure ??= error;
    }
  }
  return failure;
}

async function opened(
  options: WorldOptions,
  dataDir: DataDir,
  server: LoopbackServer,
  undo: (() => void | Promise<void>)[],
): Promise<World> {
  const computes = embeddedComputes();
  const { maxStorePages, copies = 1, limit = TASKS_AT_ONCE, warn = () => undefined, onDeadLetter } = options;
  const store = await openLibsqlStore({
    file: dataDir.store,
    ...(maxStorePages === undefined ? {} : { maxPages: maxStorePages }),
  });
  undo.push(() => store.close());
  const failure = storeFailure();
  const census = taskCensus();
  const letters = deadLetterBox();
  const observed = observedStore(store, [census, letters, { failed: failure.noted }]);
  const secret = dataDir.secret();
  const secrets = payloadSecrets(secret);
  const parts: Parts = {};
  const posting = new AbortController();
  const scheduler = realScheduler();
  const registry = localRegistry({ store: observed, nowMs: scheduler.nowMs });
  const archive = fileArchive({ dir: dataDir.archive, nowMs: scheduler.nowMs, warn });
  undo.push(() => archive.close());
  const engine = createEngine({
    store: observed,
    scheduler,
    reactions,
    secret,
    limitOf: () => limit,
    fleetWaits: embeddedFleetWaits,
    archive,
    settings: {
      stage: LOCAL_STAGE,
      timings: options.timings ?? embeddedTimings,
      defaultAgentCommand: options.defaultAgentCommand ?? DEFAULT_AGENT_COMMAND,
      agentCommandAllowed: true,
      screening: options.screening === undefined ? 'off' : 'required',
      computes,
      fleets: [FLEET.fleet],
      slotKeyOf: ({ userId }) => `user:${userId}`,
    },
    copies: typeof copies === 'number' ? () => copies : copies,
    ...(onDeadLetter ? { onDeadLetter } : {}),
    onStoreFailure: (error) => failure.stopped(error),
    outside: ({ bus, ports }) => {
      parts.ecs = localEcs({
        store: observed,
        bus: (events) => bus.publish(events),
        clock: ports.clock,
        registry,
        dataDir: dataDir.path,
        worldFile: dataDir.worldFile,
        runnerCommand: [...(options.runnerCommand ?? bundle('runner.js'))],
        supervisorCommand: [...(options.supervisorCommand ?? bundle('supervisor.js'))],
        ...(options.stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds: options.stopTimeoutSeconds }),
        ...(options.failStart ? { failStart: options.failStart } : {}),
        secretEnvironment: ({ environment: { BATON_PAYLOAD: ref } }) =>
          ref === undefined ? {} : { [PAYLOAD_SECRET_NAME]: secrets.of(ref) },
        onExit: ({ taskArn, taskId, attempt, runDir }) =>
          takeReport({ taskId, attempt, nativeId: taskArn }, runDir, ports.runs, warn),
        warn,
      });
      parts.agentcore = localAgentcore({
        ...options.sessions,
        store: observed,
        clock: ports.clock,
        dataDir: dataDir.path,
        worldFile: dataDir.worldFile,
        serverCommand: [...bundle('runner.js'), 'serve', ...(options.runnerCommand ?? [])],
        supervisorCommand: [...(options.supervisorCommand ?? bundle('supervisor.js'))],
        environment: (name, payload) => sessionEnvironment(name, payload, secrets),
        dirNameOf: sessionDirOf,
        onEnd: async ({ name: { sessionId }, path }) => {
          const owner = parseSessionId(sessionId);
          if (owner) await takeReport({ ...owner, nativeId: sessionId }, path, ports.runs, warn);
        },
        warn,
      });
      parts.fleet = embeddedFleet({
        store: observed,
        clock: ports.clock,
        publish: (events) => bus.publish(events),
        secrets,
        dataDir: dataDir.path,
        worldFile: dataDir.worldFile,
        script: distFile('host-run.sh'),
        runnerCommand: [...(options.runnerCommand ?? bundle('runner.js'))],
        supervisorCommand: [...(options.supervisorCommand ?? bundle('supervisor.js'))],
        containersCommand: bundle('local-containers.js'),
        takeReport: (signal, runDir) => takeReport(signal, runDir, ports.runs, warn),
        runsDirOf: (name) => join(dataDir.runs, name),
        ...(options.stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds: options.stopTimeoutSeconds }),
        ...(options.fleet ? { changes: options.fleet } : {}),
        warn,
      });
      const machines = machinesOf(parts.fleet);
      return {
        agentcore: sessionBackend({
          ...LOCAL_RUNTIME,
          sessions: localSessions(parts.agentcore),
          ...(options.sessions?.pauseSeconds === undefined ? {} : { pauseSeconds: options.sessions.pauseSeconds }),
          lifeOf: livesOver({ ...ports, timings: () => ports.settings.timings }),
          failed: (error) => warn(error.message, error),
        }),
        ecs: parts.ecs,
        machines,
        ec2: fleetBackend({
          workers: ports.workers,
          commands: localCommands(parts.fleet, RUN_DOCUMENT),
          clock: ports.clock,
          waits: embeddedFleetWaits,
          region: 'local',
          machines,
          warn: (message, cause) => warn(message, cause),
          failed: (error) => warn(error.message, error),
        }),
        definitions: definitionsOver({
          store: observed,
          registry,
          clock: ports.clock,
          stage: LOCAL_STAGE,
          baseFamily: LOCAL_FAMILY,
          warn: (message, error) => warn(message, error ?? ''),
        }),
        webhooks: webhooksOver({ allowed: 'local', until: posting.signal }),
        screening: screeningOf(options),
        contexts: githubContexts({
          url: options.github?.url,
          token: async () => options.github?.token,
          until: posting.signal,
        }),
      };
    },
  });
  undo.push(() => parts.ecs?.close());
  undo.push(() => parts.agentcore?.close());
  undo.push(() => parts.fleet?.close());
  undo.push(async () => {
    const stopped = engine.stop();
    // What a receiver has not answered yet is posted again by the next world.
    posting.abort();
    await stopped;
  });

  const keeping = runKeeping({
    store: observed,
    tasks: engine.ports.tasks,
    runs: engine.ports.runs,
    clock: engine.ports.clock,
    runsDir: dataDir.runs,
    warn,
  });
  undo.push(() => keeping.stop());
  engine.bus.listen((event) => {
    if (event['detail-type'] !== 'TaskSettled' || replayOf(event) !== undefined) return;
    void keeping.settled((event as BatonEvent).detail.metadata.taskId ?? '');
  });

  await census.take(observed);
  await letters.take(observed);
  // What a crash took back goes out of the archive while nothing has moved since.
  await archive.takeBack(undoneIn(observed));
  // What ended meanwhile is told before the alarms ask: an end that is known needs no guess.
  const { ecs, agentcore, fleet } = whole(parts);
  await deployBase(registry, LOCAL_STAGE);
  await ecs.recover();
  await agentcore.recover();
  await fleet.recover();
  await engine.recover();

  const world: WorldView = {
    version: batonVersion(),
    pid: process.pid,
    url: server.url,
    dataDir: dataDir.path,
    startedAt: engine.ports.clock.now(),
    unsettled: 0,
    tasks: {},
    deadLetters: 0,
    computes: [...computes],
    screening: options.screening === 'stand-in' ? 'stand-in' : options.screening ? 'required' : 'off',
  };
  const deadLetters = deadLetterDesk(letters, engine.bus, observed);
  const desk = taskDesk({ ...engine, letters: deadLetters }, dataDir.runs);
  const streams = eventStreams(engine.bus.listen, observed);
  const routes = [
    ...taskRoutes(desk),
    ...worldRoutes(
      () => ({ ...world, unsettled: census.unsettled(), tasks: census.byStatus(), deadLetters: letters.count() }),
      streams,
      desk,
    ),
    ...deadLetterRoutes(deadLetters),
    ...repositoryRoutes(repositoryDesk({ ...engine, letters: deadLetters })),
    ...workerRoutes(workerDesk(engine.store)),
    ...replayRoutes(replayDesk({ replays: engine.replays, store: observed, rules: rules.map(({ name }) => name) })),
    ...runRoutes(engine, secrets),
  ];
  const aws = embeddedServices({
    engine,
    rules,
    ecs,
    agentcore,
    fleet,
    fleetNames: FLEET,
    fleetMinSize: options.fleetMinSize,
    registry,
    scheduler,
    url: server.url,
    warn,
  });
  undo.push(() => aws.stop());
  server.serve(routes, awsEndpoint(aws.services, { warn, keyFor: { s3: secrets.accessKeyId } }));
  // First nobody comes in any more, then everything inside ends, then the next world may begin.
  undo.push(() => server.close());
  undo.push(() => streams.close());
  const { pid, url, startedAt, version } = world;
  undo.push(() => dataDir.withdraw());
  dataDir.announce({ pid, url, startedAt, version, accessKeyId: secrets.accessKeyId });
  keeping.start();
  const { error } = failure;
  if (error) throw error;

  const opened = worldOf(
    server,
    dataDir,
    engine,
    { ecs, agentcore, fleet },
    desk,
    census.unsettled,
    failure.told,
    undo,
  );
  void failure.told.then(() => opened.close()).catch(() => undefined);
  return opened;
}

const screeningOf = ({ screening = noScreening }: WorldOptions): Screening =>
  screening === 'stand-in' ? standInScreening : screening;

interface Parts {
  ecs?: LocalEcs;
  agentcore?: LocalAgentcore;
  fleet?: LocalFleet;
}

/** Made by the engine while it is made itself. */
function whole({ ecs, agentcore, fleet }: Parts): Required<Parts> {
  if (ecs && agentcore && fleet) return { ecs, agentcore, fleet };
  throw new BatonError('missing_port', 'The engine was made without its embedded back ends.');
}

/** The run of a session has the directory that its attempt would have on any back end, so that its log is found there. */
function sessionDirOf({ sessionId }: SessionName): string {
  const owner = parseSessionId(sessionId);
  return ecsTaskIdOf(owner ? `${owner.taskId}-${owner.attempt}` : sessionId);
}

/** What the container of a session gets besides: whose it is, for those who clear up, and the secret of its payload. */
function sessionEnvironment(
  { sessionId }: SessionName,
  payload: Buffer,
  secrets: PayloadSecrets,
): Record<string, string> {
  const owner = parseSessionId(sessionId);
  const invocation = jsonIn(payload);
  const ref = sessionInvocation.safeParse(invocation).data?.environment['BATON_PAYLOAD'];
  return {
    ...(owner ? { BATON_TASK_ID: owner.taskId, BATON_ATTEMPT: String(owner.attempt) } : {}),
    ...(ref === undefined ? {} : { [PAYLOAD_SECRET_NAME]: secrets.of(ref) }),
  };
}

/** Anybody may invoke a session at the endpoint, with anything. */
function jsonIn(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return undefined;
  }
}

function worldOf(
  { url, port }: LoopbackServer,
  dataDir: DataDir,
  engine: Engine,
  { ecs, agentcore, fleet }: Required<Parts>,
  desk: TaskDesk,
  unsettled: () => number,
  failed: Promise<BatonError>,
  undo: (() => void | Promise<void>)[],
): World {
  let closing: Promise<unknown> | undefined;
  return {
    url,
    port,
    dataDir: dataDir.path,
    engine,
    submit: desk.submit,
    cancel: (taskId, reason) => desk.cancel(taskId, reason === undefined ? {} : { reason }),
    view: desk.view,
    list: desk.list,
    logPath: async (taskId, attempt) => (await desk.log(taskId, attempt)).file,
    listen: engine.bus.listen,
    async interrupt(taskId, how) {
      const { run, compute } = await desk.view(taskId);
      if (run?.nativeId === undefined) return false;
      switch (compute) {
        case 'agentcore':
          return agentcore.takeAway({ ...LOCAL_RUNTIME, sessionId: run.nativeId });
        case 'ec2':
          // The native identity of a run there begins with its instance.
          return fleet.interrupt(run.nativeId.split('/')[0] ?? '', how);
        case 'ecs':
          return ecs.interrupt(run.nativeId, how);
      }
    },
    unsettled,
    failed,
    async close() {
      closing ??= undone(undo);
      const failure = await closing;
      if (failure !== undefined) throw failure;
    },
  };
}

/** The first failure of the store that stays. A store that closes has not failed. */
function storeFailure() {
  let error: BatonError | undefined;
  let tell: (error: BatonError) => void = () => undefined;
  const told = new Promise<BatonError>((resolve) => {
    tell = resolve;
  });
  return {
    told,
    get error() {
      return error;
    },
    /** The store refused something. */
    noted(cause: unknown): void {
      if (cause instanceof StoreError && cause.code !== 'store_closed') fail(cause);
    },
    /** The engine stands still because of it, whatever it was. */
    stopped(cause: unknown): void {
      if (cause instanceof StoreError) {
        this.noted(cause);
        return;
      }
      const why = cause instanceof Error ? cause.message : String(cause);
      fail(new StoreError('store_unwritable', `The record store did not take a step: ${why}`, { cause }));
    },
  };

  function fail(cause: BatonError): void {
    if (error) return;
    error = cause;
    tell(cause);
  }
}

/**
 * A runner that could not reach us left its report beside its exit. It counts as if the runner had brought it: under the identity of
 * the run, and not at all where that is fenced.
 */
async function takeReport(
  signal: RunSignal,
  runDir: string,
  runs: RunnerSide,
  warn: (message: string, error: unknown) => void,
): Promise<void> {
  const left = readWhole(join(runDir, RUN_FILES.report));
  if (left === undefined) return;
  const report = agentReport.safeParse(left);
  if (report.success) await runs.report(signal, report.data);
  else warn(`${join(runDir, RUN_FILES.report)} is not a report`, report.error);
}

/** A program of this build, and Node to run it. */
const bundle = (name: string): string[] => [process.execPath, distFile(name)];

/** Bundles lie in `dist/` beside this one, or below the sources. */
const distFile = (name: string): string => fileURLToPath(new URL(`../dist/${name}`, import.meta.url));

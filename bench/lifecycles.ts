import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { EventDefinition } from '../events/define.ts';
import { runClaimed } from '../events/run-claimed.ts';
import { runReported } from '../events/run-reported.ts';
import { taskRequested } from '../events/task-requested.ts';
import { reactions } from '../handlers/index.ts';
import { embeddedTimings } from '../lifecycle/timings.ts';
import { createEngine, type Engine } from '../runtime/engine/engine.ts';
import { fileArchive } from '../runtime/engine/file-archive.ts';
import { openLibsqlStore } from '../runtime/engine/libsql-store.ts';
import { ecsTaskIdOf, exited, handleOf, newTask, running, stateChangeEvent } from '../runtime/engine/local-ecs-task.ts';
import { observedStore } from '../runtime/engine/observed-store.ts';
import { realScheduler } from '../runtime/engine/scheduler.ts';
import { noScreening } from '../runtime/engine/stand-in-screening.ts';
import { githubContexts } from '../runtime/github-contexts.ts';
import type { ComputeBackend, RecordStore, StartRun, StoredRecord } from '../runtime/ports.ts';
import { webhooksOver } from '../runtime/webhooks.ts';
import type { AgentReport } from '../schemas/agent-report.ts';
import type { BatonEvent } from '../schemas/envelope.ts';

/** Tasks of one slot key at once: nobody waits, so that the control plane is measured and not the queue. */
const LIMIT = 1_000;
/** What a short instruction with some context looks like: 1 kB that must be kept. */
const PROMPT_CHARS = 1_000;

/** The simulated run of one task: what it was started with, and who it says it is. */
export interface SimulatedRun {
  readonly start: StartRun;
  readonly nativeId: string;
}

export interface Lifecycles {
  readonly engine: Engine;
  readonly store: RecordStore;
  /** Puts a request on the bus; resolves when it is on disk. The same user and key name the same task. */
  submit(userId: string, key: string): Promise<void>;
  /** The first signs of life of a run, once: ECS says RUNNING, the runner claims and, before its push, asks whether it counts. */
  comeAlive(run: SimulatedRun): Promise<void>;
  /** The signs of the end, once: the runner reports and exits with 0, ECS says STOPPED. */
  end(run: SimulatedRun): Promise<void>;
  close(): Promise<void>;
}

export interface LifecyclesOptions {
  readonly dataDir: string;
  /** Compute accepted a start; once per client token. */
  readonly onStart: (run: SimulatedRun) => void;
  /** The task is settled, its slot returned, and all of that is on disk. */
  readonly onSettled: (taskId: string) => void;
  /** Tasks of one slot key at once; so many by default that nobody waits. */
  readonly limit?: number;
  /** A record was written. */
  readonly onWritten?: (record: StoredRecord) => void;
}

/** The engine of the embedded world over its synced store, with compute that does at once what it is asked, in ECS's own words. */
export async function openLifecycles(options: LifecyclesOptions): Promise<Lifecycles> {
  const { dataDir, onStart, onSettled, limit = LIMIT, onWritten } = options;
  mkdirSync(dataDir, { recursive: true });
  const file = await openLibsqlStore({ file: join(dataDir, 'baton.db') });
  const store = onWritten ? observedStore(file, [{ written: onWritten }]) : file;
  const archive = fileArchive({ dir: join(dataDir, 'archive'), nowMs: Date.now });
  const tokens = new Set<string>();
  let requests = 0;

  const ecs: ComputeBackend = {
    async start(start) {
      // As before a real process: what led here must be on disk when it begins.
      await store.durable();
      if (!tokens.has(start.clientToken)) {
        tokens.add(start.clientToken);
        setImmediate(onStart, simulatedRun(start));
      }
      return { outcome: 'started', handle: handleOf(ecsTaskIdOf(start.clientToken)) };
    },
    stop: async () => 'stopping',
    ask: async () => [],
  };

  const definition = async () => ({ outcome: 'ready', arn: handleOf('').taskDefinitionArn }) as const;

  const engine = createEngine({
    store,
    scheduler: realScheduler(),
    reactions,
    secret: 'bench',
    limitOf: () => limit,
    archive,
    settings: {
      stage: 'local',
      timings: embeddedTimings,
      defaultAgentCommand: 'simulated',
      agentCommandAllowed: true,
      screening: 'off',
      computes: ['ecs'],
      fleets: ['main'],
      slotKeyOf: ({ userId }) => `user:${userId}`,
    },
    outside: () => ({
      ecs,
      agentcore: {},
      ec2: {},
      machines: {},
      definitions: { base: definition, ofUser: definition },
      webhooks: webhooksOver({ allowed: 'local' }),
      screening: noScreening,
      contexts: githubContexts({}),
    }),
    onDeadLetter: ({ rule, error }) => console.error(`dead letter of ${rule}: ${error.message}`),
  });
  const { bus } = engine;
  const { runs } = engine.ports;
  bus.listen((event) => {
    if (event['detail-type'] !== 'TaskSettled') return;
    const { taskId } = (event as BatonEvent).detail.metadata;
    void store.durable().then(() => onSettled(taskId ?? ''));
  });

  return { engine, store, submit, comeAlive, end, close };

  async function submit(userId: string, key: string): Promise<void> {
    const prompt = `${key} `.repeat(PROMPT_CHARS).slice(0, PROMPT_CHARS);
    const data = { repository: '/srv/git/sample.git', prompt, userId, idempotencyKey: key };
    await bus.publish([eventFrom(taskRequested, `request-${requests++}`, data)]);
    await store.durable();
  }

  async function comeAlive(run: SimulatedRun): Promise<void> {
    const at = now();
    const signal = signalOf(run);
    await bus.publish([stateChangeEvent(running(newTask(run.start, at), at, at).detail)]);
    await runs.claim(signal);
    await store.durable();
    await bus.publish([eventFrom(runClaimed, `${run.nativeId}#claimed`, { ...signal, seq: 1 })]);
    await runs.confirm(signal);
    await store.durable();
  }

  async function end(run: SimulatedRun): Promise<void> {
    const at = now();
    const signal = signalOf(run);
    await runs.report(signal, reportOf(run, at));
    await store.durable();
    const exit = { exitCode: 0, signal: null, startedAt: at, endedAt: at };
    await bus.publish([
      eventFrom(runReported, `${run.nativeId}#reported`, { ...signal, seq: 2 }),
      stateChangeEvent(exited(running(newTask(run.start, at), at, at), exit, undefined, at).detail),
    ]);
    await store.durable();
  }

  async function close(): Promise<void> {
    await engine.stop();
    archive.close();
    await store.close();
  }
}

/** The run that compute makes of a start; the same for the same start, so that another process can go on with it. */
export const simulatedRun = (start: StartRun): SimulatedRun => ({
  start,
  nativeId: handleOf(ecsTaskIdOf(start.clientToken)).taskArn,
});

const signalOf = ({ start, nativeId }: SimulatedRun) => ({ taskId: start.taskId, attempt: start.attempt, nativeId });

const now = (): string => new Date().toISOString();

const eventFrom = (of: EventDefinition, id: string, data: Readonly<Record<string, unknown>>): BatonEvent => ({
  version: '0',
  id,
  'detail-type': of.type,
  source: of.source,
  account: '000000000000',
  time: now(),
  region: 'local',
  resources: [],
  detail: {
    metadata: { id, correlationId: id, causationId: id, occurredAt: now(), schemaVersion: of.version },
    data,
  },
});

const reportOf = ({ start }: SimulatedRun, at: string): AgentReport => ({
  schemaVersion: 1,
  outcome: 'succeeded',
  result: {
    branch: `baton/${start.taskId}`,
    commit: '9f2c1a7d3b5e4f60718293a4b5c6d7e8f9012345',
    baseCommit: '0123456789abcdef0123456789abcdef01234567',
    filesChanged: 3,
    insertions: 42,
    deletions: 7,
    pullRequest: null,
  },
  agentExitCode: 0,
  startedAt: at,
  endedAt: at,
});

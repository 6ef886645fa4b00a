import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Timings } from '../../lifecycle/timings.ts';
import { openWorld, type WorldOptions } from '../../runtime/embedded-world.ts';
import type { DeadLetter } from '../../runtime/engine/event-bus.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { TaskRequest } from '../../schemas/task-request.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { type EmbeddedFlowWorld, embeddedFlowWorld, type FlowWorld } from './flow-world.ts';

/** The waits of the embedded world, shortened so that a test sees what time decides. In seconds. */
export const quickTimings: Timings = {
  STEP_RETRY_S: 3,
  QUEUE_CHECK_S: 3,
  START_CHECK_S: 3,
  START_MISSING_S: 2,
  REPORT_GRACE_S: 2,
  EXIT_GRACE_S: 10,
  LAST_WORD_GRACE_S: 0.5,
  STOP_RETRY_S: 2,
  STOP_LOOK_S: 0.5,
  STOP_PROOF_S: 12,
  HEARTBEAT_S: 1,
  LIFE_LOOK_S: 1,
  HEARTBEAT_SILENCE_S: 6,
  SETTLE_RETRY_S: 2,
  BACKOFF_FIRST_S: 0.2,
  BACKOFF_MAX_S: 1,
  REPUBLISH_AGE_S: 2,
  TIMEOUT_DEFAULT_S: 600,
};

/** Seconds between SIGTERM and SIGKILL of a run: enough to save work on a busy machine. */
export const QUICK_STOP_S = 8;

/** How long a test waits for a story's end, in milliseconds: processes and git on a busy machine. */
const PATIENCE_MS = 60_000;
/** Between two looks at what a test waits for, in milliseconds. */
const LOOK_PAUSE_MS = 20;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A world in a folder of its own, and a git repository for its agents. */
export interface FlowScene<In extends FlowWorld = FlowWorld> {
  readonly folder: string;
  /** A bare repository with one commit on `main`. */
  readonly remote: string;
  /** The open world; another one after it was opened again. */
  readonly world: In;
  /** What was published since the scene was opened, oldest first. */
  readonly events: Envelope[];
  /** Deliveries that were given up since the scene was opened. */
  readonly deadLetters: readonly DeadLetter[];
  /** Asks for a task of this agent; answers its id. */
  submit(agentCommand: string, request?: Partial<TaskRequest>): Promise<string>;
  /** The task, once it is as wanted. */
  until(taskId: string, wanted: (task: TaskView) => boolean, what: string, patienceMs?: number): Promise<TaskView>;
  settled(taskId: string): Promise<TaskView>;
  /** Resolves when nothing is on its way to a handler. */
  quiet(): Promise<void>;
  /** Git in the remote. */
  inRemote(...args: string[]): string;
  /** Detail-types of the facts of a task, oldest first, each id once. */
  factsOf(taskId: string): string[];
  log(taskId: string, attempt?: number): Promise<string>;
  close(): Promise<void>;
}

/** The scene of the embedded world, which can be closed and opened again. */
export interface Scene extends FlowScene<EmbeddedFlowWorld> {
  readonly dataDir: string;
  reopen(options?: Partial<WorldOptions>): Promise<EmbeddedFlowWorld>;
}

/** The runner of this build, with a shorter patience for a world that is away. */
export const impatientRunner = (seconds: number): string[] => [
  '/usr/bin/env',
  `BATON_RETRY_S=${seconds}`,
  process.execPath,
  join(root, 'dist/runner.js'),
];

export async function openScene(options: Partial<WorldOptions> = {}): Promise<Scene> {
  const folder = sceneFolder();
  const dataDir = options.dataDir ?? join(folder, 'data');
  const deadLetters: DeadLetter[] = [];
  let hear: (event: Envelope) => void = () => undefined;
  const opened = async (changes: Partial<WorldOptions>): Promise<EmbeddedFlowWorld> => {
    const world = await openWorld({
      timings: quickTimings,
      stopTimeoutSeconds: QUICK_STOP_S,
      onDeadLetter: (letter) => deadLetters.push(letter),
      ...options,
      ...changes,
      dataDir,
    });
    world.listen((event) => hear(event));
    return embeddedFlowWorld(world, () => deadLetters);
  };
  let world = await opened({});
  const common = sceneIn(folder, () => world);
  hear = (event) => common.events.push(event);
  return {
    ...common,
    dataDir,
    get world() {
      return world;
    },
    get deadLetters() {
      return deadLetters;
    },
    async reopen(changes = {}) {
      await world.close();
      world = await opened(changes);
      return world;
    },
  };
}

/** What scenes have in common whatever their world; `events` is filled by whoever opens it. */
export function sceneIn<In extends FlowWorld>(
  folder: string,
  world: () => In,
  patienceMs = PATIENCE_MS,
  lookPauseMs = LOOK_PAUSE_MS,
): FlowScene<In> {
  const remote = sampleRepository(folder);
  const events: Envelope[] = [];
  return {
    folder,
    remote,
    get world() {
      return world();
    },
    events,
    get deadLetters() {
      return world().deadLetters();
    },
    submit: async (agentCommand, request = {}) =>
      (await world().submit({ repository: remote, prompt: 'Say hello.', agentCommand, ...request })).taskId,
    until,
    settled: (taskId) => until(taskId, (task) => task.settled, 'to settle'),
    quiet: () =>
      eventually(() => (world().isQuiet() ? null : undefined), 'every event to be handled', patienceMs).then(
        () => undefined,
      ),
    inRemote: (...args) => git(remote, ...args),
    factsOf(taskId) {
      const facts = new Map<string, string>();
      for (const event of events) {
        const { metadata } = event.detail as { metadata?: { taskId?: string; id?: string } };
        if (event.source === 'baton' && metadata?.taskId === taskId) {
          facts.set(metadata.id ?? event.id, event['detail-type']);
        }
      }
      return [...facts.values()];
    },
    async log(taskId, attempt) {
      const file = await world().logPath(taskId, attempt);
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    },
    async close() {
      await world().close();
      await putAway(folder);
    },
  };

  async function until(
    taskId: string,
    wanted: (task: TaskView) => boolean,
    what: string,
    longMs = patienceMs,
  ): Promise<TaskView> {
    let last: TaskView | undefined;
    return eventually(
      async () => {
        last = await world().view(taskId);
        return wanted(last) ? last : undefined;
      },
      () =>
        `task ${taskId} ${what}; it is ${JSON.stringify({ ...last, ignored: undefined })}; ${world().troubles().join('; ')}`,
      longMs,
      lookPauseMs,
    );
  }
}

/** A bare repository with one commit on `main`, below the folder. */
export function sampleRepository(folder: string): string {
  const remote = join(folder, 'remote.git');
  cpSync(sample(), remote, { recursive: true });
  return remote;
}

/** The repository that all are copies of: git makes it once in a test run, and not in five processes for each scene. */
function sample(): string {
  const finished = join(tmpdir(), 'sample.git');
  if (existsSync(finished)) return finished;
  const draft = mkdtempSync(join(tmpdir(), 'baton-sample-'));
  const remote = join(draft, 'remote.git');
  const work = join(draft, 'first');
  mkdirSync(work);
  git(draft, 'init', '--quiet', '--bare', '--initial-branch=main', remote);
  git(work, 'init', '--quiet', '--initial-branch=main');
  writeFileSync(join(work, 'README.md'), 'a sample\n');
  git(work, 'add', '.');
  git(work, '-c', 'user.name=Somebody', '-c', 'user.email=somebody@localhost', 'commit', '--quiet', '-m', 'First');
  git(work, 'push', '--quiet', remote, 'main');
  try {
    renameSync(remote, finished);
  } catch (error) {
    // Another test file was faster: then its repository is as good.
    if (!existsSync(finished)) throw error;
  }
  rmSync(draft, { recursive: true, force: true });
  return finished;
}

function git(folder: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd: folder, encoding: 'utf8' }).trim();
}

/** Waits until the look finds something. */
export async function eventually<Found>(
  look: () => Promise<Found | undefined> | Found | undefined,
  what: string | (() => string),
  patienceMs = PATIENCE_MS,
  lookPauseMs = LOOK_PAUSE_MS,
): Promise<Found> {
  const untilMs = Date.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > untilMs) throw new Error(`waited in vain for ${typeof what === 'string' ? what : what()}`);
    await sleep(lookPauseMs);
  }
}

/** A producer sends its request again, under its key, until it is answered: a busy machine may take longer than it waits. */
export const insist = <Answer>(ask: () => Promise<Answer>, patienceMs = 60_000): Promise<Answer> =>
  eventually(
    () =>
      ask().catch((error: { code?: string }) => {
        if (error.code === 'not_answered') return undefined;
        throw error;
      }),
    'an answer',
    patienceMs,
  );

/** The number that an agent wrote into a file, once it is there whole. */
export const numberIn = (file: string): Promise<number> =>
  eventually(() => {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    return text.endsWith('\n') ? Number(text) : undefined;
  }, `a number in ${file}`);

/** Lines of a file that may not exist. */
export const linesOf = (file: string): string[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];

/** A live process; a zombie is none. */
export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = `/proc/${pid}/stat`;
    return !existsSync(stat) || !/\) [ZX] /.test(readFileSync(stat, 'utf8'));
  } catch {
    return false;
  }
}

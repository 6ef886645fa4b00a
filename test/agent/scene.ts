import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AgentReport, agentReport } from '../../schemas/agent-report.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { taskId } from '../../schemas/task-id.ts';
import { bundleFile } from '../programs.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { type ApiStub, startApi } from './api-stub.ts';

export const TASK_ID = taskId.parse(`t${'0'.repeat(20)}abcd`);
export const BRANCH = `baton/${TASK_ID}`;
export const RUN_TOKEN = 'run-token-that-nobody-else-may-see';

export interface Launched {
  readonly pid: number;
  readonly output: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  kill(signal: NodeJS.Signals): void;
}

/** A run of the real runner against a real remote and a small real API. */
export interface Scene {
  readonly folder: string;
  /** A bare repository with one commit on `main`. */
  readonly remote: string;
  readonly runDir: string;
  readonly api: ApiStub;
  start(environment?: Record<string, string>): Launched;
  run(environment?: Record<string, string>): Promise<{ readonly code: number | null; readonly output: string }>;
  /** Git in the remote. */
  inRemote(...args: string[]): string;
  /** Head of a branch on the remote, or undefined. */
  head(branch: string): string | undefined;
  /** Commits a file straight to a branch of the remote, as somebody else. */
  commitToRemote(branch: string, file: string, text: string): string;
  /** The report that the API received. */
  report(): AgentReport;
  reportFile(): AgentReport | undefined;
  close(): Promise<void>;
}

export async function openScene(payload: Partial<RunPayload> = {}): Promise<Scene> {
  const folder = sceneFolder();
  const remote = join(folder, 'remote.git');
  const runDir = join(folder, 'run');
  const worldFile = join(folder, 'world.json');
  mkdirSync(runDir);
  mkdirSync(join(folder, 'home'));
  git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', remote);
  commitTo(folder, remote, 'main', 'README.md', 'a sample\n');
  const whole: RunPayload = {
    schemaVersion: 1,
    taskId: TASK_ID,
    attempt: 1,
    runToken: RUN_TOKEN,
    repository: remote,
    branch: BRANCH,
    prompt: 'Write a greeting\nand nothing else',
    agentCommand: 'echo hello > greeting.txt',
    deadlineAt: new Date(Date.now() + 3_600_000).toISOString(),
    ...payload,
  };
  const api = await startApi(worldFile, () => whole);
  const launched: ChildProcess[] = [];
  const start = (environment: Record<string, string> = {}): Launched => {
    const child = spawn(process.execPath, [bundleFile('runner')], {
      cwd: runDir,
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: join(folder, 'home'),
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_NOSYSTEM: '1',
        BATON_TASK_ID: TASK_ID,
        BATON_ATTEMPT: String(whole.attempt),
        BATON_PAYLOAD: 'payload-reference',
        BATON_NATIVE_ID: 'arn:aws:ecs:local:000000000000:task/baton/1',
        BATON_WORLD_FILE: worldFile,
        BATON_RUN_DIR: runDir,
        BATON_RETRY_S: '20',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    launched.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    return {
      pid: child.pid ?? 0,
      output: () => output,
      ended: new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal }))),
      kill: (signal) => void child.kill(signal),
    };
  };
  return {
    folder,
    remote,
    runDir,
    api,
    start,
    run: async (environment) => {
      const launch = start(environment);
      const { code } = await launch.ended;
      return { code, output: launch.output() };
    },
    inRemote: (...args) => git(remote, ...args),
    head: (branch) => git(remote, 'for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`).trim() || undefined,
    commitToRemote: (branch, file, text) => commitTo(folder, remote, branch, file, text),
    report: () => agentReport.parse(api.of('report').at(-1)?.body['report']),
    reportFile: () => {
      const file = join(runDir, 'report.json');
      return existsSync(file) ? agentReport.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
    },
    close: async () => {
      for (const child of launched) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await api.goAway();
      await putAway(folder);
    },
  };
}

/** Waits until something is so; fails after forty seconds. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const endsAt = Date.now() + 40_000;
  while (!isSo()) {
    if (Date.now() > endsAt) throw new Error(`waited in vain until ${what}`);
    await sleep(20);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A dead child of a dead parent may wait for its init: not alive for us.
  return !/^State:\s+Z/m.test(existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '');
}

export const git = (folder: string, ...args: string[]): string =>
  execFileSync('git', args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'Somebody',
      GIT_AUTHOR_EMAIL: 'somebody@example.org',
      GIT_COMMITTER_NAME: 'Somebody',
      GIT_COMMITTER_EMAIL: 'somebody@example.org',
    },
  });

/** Commits a file straight to a branch of a remote, as somebody else would, from a new clone in the folder; answers the commit. */
export function commitTo(folder: string, remote: string, branch: string, file: string, text: string): string {
  const clone = mkdtempSync(join(folder, 'other-'));
  git(clone, 'init', '--quiet', `--initial-branch=${branch}`);
  git(clone, 'remote', 'add', 'origin', remote);
  git(clone, 'fetch', '--quiet', 'origin');
  const has = git(clone, 'branch', '--remotes').includes(`origin/${branch}`);
  if (has) git(clone, 'reset', '--quiet', '--hard', `origin/${branch}`);
  writeFileSync(join(clone, file), text);
  git(clone, 'add', '--all');
  git(clone, 'commit', '--quiet', '--message', `somebody changes ${file}`);
  git(clone, 'push', '--quiet', 'origin', `HEAD:refs/heads/${branch}`);
  return git(clone, 'rev-parse', 'HEAD').trim();
}

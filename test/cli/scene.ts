import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { putAway, sceneFolder } from '../scene-folder.ts';

const root = join(import.meta.dirname, '../..');
export const BATON = join(root, 'bin', 'baton');

/** No process outlives this, in milliseconds, though its test file hang: a world lasts as long as all tests of a file together. */
const PROCESS_LIMIT_MS = 600_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line under way. */
export interface Running {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Waits until standard output has it; fails when the process ends or takes too long. */
  says(what: string | RegExp): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** A folder with a git repository of one commit, and the real command line in it. */
export interface CliScene {
  readonly folder: string;
  readonly repo: string;
  readonly data: string;
  start(words: readonly string[], options?: StartOptions): Running;
  run(words: readonly string[], options?: StartOptions): Promise<Ended>;
  git(...words: string[]): string;
  close(): Promise<void>;
}

interface StartOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export function openCliScene(name = 'baton-cli-'): CliScene {
  const folder = sceneFolder(name);
  const repo = join(folder, 'repo');
  mkdirSync(repo);
  const git = (...words: string[]): string =>
    execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.invalid', '-C', repo, ...words], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  git('init', '--quiet', '--initial-branch=main');
  git('commit', '--quiet', '--allow-empty', '--message=first');
  const started: ChildProcess[] = [];

  const start = (words: readonly string[], { cwd = folder, environment = {} }: StartOptions = {}): Running => {
    const child = spawn(process.execPath, [BATON, ...words], {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PROCESS_LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    started.push(child);
    let stdout = '';
    let stderr = '';
    let code: number | null | undefined;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<Ended>((resolve) =>
      child.once('close', (exitCode) => {
        code = exitCode;
        resolve({ code: exitCode, stdout, stderr });
      }),
    );
    return {
      pid: child.pid ?? 0,
      ended,
      stdout: () => stdout,
      stderr: () => stderr,
      says: async (what) => {
        while (typeof what === 'string' ? !stdout.includes(what) : !what.test(stdout)) {
          if (code !== undefined) throw new Error(`ended with ${code} before it said ${what}:\n${stdout}\n${stderr}`);
          await sleep(20);
        }
      },
      kill: (signal) => void child.kill(signal),
    };
  };
  return {
    folder,
    repo,
    data: join(folder, '.baton'),
    start,
    run: (words, options) => start(words, options).ended,
    git,
    close: async () => {
      for (const child of started) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await putAway(folder);
    },
  };
}

/** The last line of what was printed, as JSON. */
export const lastJson = (stdout: string): unknown => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');

export async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  for (const endMs = Date.now() + limitMs; !(await isSo()); await sleep(20)) {
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

import { spawn } from 'node:child_process';
import { GIT_KILL_GRACE_MS, GIT_OUTPUT_MAX_CHARS } from './limits.ts';
import { withoutCredentials } from './repository.ts';

export interface GitEnd {
  /** null: ended by a signal, or given up after its time. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface GitOptions {
  readonly environment: Readonly<Record<string, string>>;
  /** The clone; its own `.git` is named outright, so a clone without one is an error and never the repository above it. */
  readonly clone?: string;
  /** A repository without a work tree, as an absolute path. */
  readonly gitDir?: string;
  readonly input?: string;
  readonly timeoutMs: number;
  /** Gives the command up when it aborts. */
  readonly stop?: AbortSignal;
}

/**
 * Settings that the agent's own configuration of the clone cannot override: no hooks, no background work, no file-system
 * monitor, no signing key to unlock, and no transport that is a command.
 */
const FIRM = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'commit.gpgSign=false',
  'push.gpgSign=false',
  'protocol.ext.allow=never',
  'advice.detachedHead=false',
].flatMap((setting) => ['-c', setting]);

/** Runs one git command, never through a shell, and returns how it ended; throws only when git itself cannot be started. */
export function git(args: readonly string[], options: GitOptions): Promise<GitEnd> {
  const place = [
    ...(options.clone === undefined ? [] : ['-C', options.clone, '--git-dir=.git', '--work-tree=.']),
    ...(options.gitDir === undefined ? [] : [`--git-dir=${options.gitDir}`]),
  ];
  return new Promise((resolve, reject) => {
    if (options.stop?.aborted || options.timeoutMs <= 0) {
      resolve({ exitCode: null, stdout: '', stderr: 'there was no time left for it' });
      return;
    }
    const child = spawn('git', [...place, ...FIRM, ...args], {
      env: {
        ...options.environment,
        LC_ALL: 'C',
        GIT_ALLOW_PROTOCOL: 'file:git:http:https:ssh',
        GIT_NO_REPLACE_OBJECTS: '1',
        GIT_TERMINAL_PROMPT: '0',
        SSH_ASKPASS_REQUIRE: 'never',
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(0, GIT_OUTPUT_MAX_CHARS);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-GIT_OUTPUT_MAX_CHARS);
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    let killTimer: NodeJS.Timeout | undefined;
    const giveUp = (): void => {
      child.kill('SIGTERM');
      killTimer = setTimeout(() => child.kill('SIGKILL'), GIT_KILL_GRACE_MS);
    };
    const timer = setTimeout(giveUp, options.timeoutMs);
    options.stop?.addEventListener('abort', giveUp, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      clearTimeout(killTimer);
      options.stop?.removeEventListener('abort', giveUp);
    };
    child.once('error', (error) => {
      settle();
      reject(error);
    });
    child.once('exit', (exitCode) => {
      settle();
      const end = (): void => {
        clearTimeout(outputTimer);
        child.stdout.destroy();
        child.stderr.destroy();
        resolve({ exitCode, stdout, stderr });
      };
      // A transport that outlives git may hold the pipes open; nobody waits for it.
      const outputTimer = setTimeout(end, GIT_KILL_GRACE_MS);
      child.once('close', end);
    });
  });
}

/** What git said last, in one line, without credentials. */
export function saidBy(end: GitEnd): string {
  const lines = withoutCredentials(end.stderr)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('hint:'));
  const telling = lines.filter((line) => /^(fatal|error|remote):/.test(line) || line.startsWith('!'));
  const said = (telling.length > 0 ? telling : lines).slice(-3).join('; ');
  if (said !== '') return said;
  return end.exitCode === null ? 'git was stopped' : `git ended with exit code ${end.exitCode}`;
}

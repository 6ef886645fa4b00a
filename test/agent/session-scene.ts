import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type SessionHealth,
  type SessionInvocation,
  sessionHealth,
  sessionIdOf,
} from '../../schemas/agentcore-session.ts';
import { taskId } from '../../schemas/task-id.ts';
import { bundleFile } from '../programs.ts';
import { TASK_ID, until } from './scene.ts';

export const SESSION_ID = sessionIdOf({ stage: 'test', taskId: TASK_ID, attempt: 1 });
export const OTHER_TASK = taskId.parse(`t${'0'.repeat(20)}wxyz`);

/** What a session is invoked with, for the shell that plays the runner. */
export const anInvocation = (script = 'true', changes: Partial<SessionInvocation> = {}): SessionInvocation => ({
  schemaVersion: 1,
  sessionId: SESSION_ID,
  taskId: TASK_ID,
  attempt: 1,
  environment: { BATON_TASK_ID: TASK_ID, BATON_ATTEMPT: '1', BATON_PAYLOAD: script },
  ...changes,
});

/** A runner that does what its payload says, in words of the shell. */
export const SHELL = ['/bin/sh', '-c', 'eval "$BATON_PAYLOAD"'];

/** The real server of a session, as a container has it. */
export interface Container {
  /** Where its runner works. */
  readonly folder: string;
  invoke(
    invocation: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  ping(): Promise<SessionHealth>;
  url(path: string): string;
  output(): string;
  kill(signal: NodeJS.Signals): void;
  readonly ended: Promise<number | null>;
  close(): Promise<void>;
}

/** Starts the runner for AWS with `serve <words>` on a free port and waits until it listens. */
export async function startContainer({
  words = SHELL,
  environment = {},
}: {
  words?: readonly string[];
  environment?: Record<string, string>;
} = {}): Promise<Container> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-session-'));
  const runDir = environment['BATON_RUN_DIR'] ?? folder;
  mkdirSync(runDir, { recursive: true });
  const child: ChildProcess = spawn(process.execPath, [bundleFile('runner-aws'), 'serve', ...words], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      BATON_SESSION_HOST: '127.0.0.1',
      BATON_SESSION_PORT: '0',
      BATON_RUN_DIR: runDir,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const portFile = join(runDir, 'session.json');
  await until('the session listens', () => existsSync(portFile) || child.exitCode !== null);
  const { port } = JSON.parse(readFileSync(portFile, 'utf8')) as { port: number };
  const url = (path: string): string => `http://127.0.0.1:${port}${path}`;
  return {
    folder,
    url,
    async invoke(invocation, headers = {}) {
      const body = typeof invocation === 'string' ? invocation : JSON.stringify(invocation);
      const answer = await fetch(url('/invocations'), {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
    },
    ping: async () => sessionHealth.parse(await (await fetch(url('/ping'))).json()),
    output: () => output,
    kill: (signal) => void child.kill(signal),
    ended,
    async close() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

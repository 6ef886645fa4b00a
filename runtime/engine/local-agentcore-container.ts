import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import * as z from 'zod';
import { readWhole } from '../../agent/supervisor-files.ts';
import { isAlive, killAll, signal } from '../../agent/supervisor-processes.ts';
import { type SessionHealth, sessionHealth } from '../../schemas/agentcore-session.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import type { ProcessIdentity, RunSpec } from '../../schemas/supervised-run.ts';
import { runDir } from './local-ecs-run-dir.ts';

/** After the end of its stop time-out a supervisor has this long to end its container before it is killed itself. */
const STOP_MARGIN_MS = 10_000;

/** What a container answered to an invocation. */
export interface ContainerAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** One container of a session: a server process under a supervisor that outlives Baton. */
export interface Container {
  readonly path: string;
  /** Who keeps it; undefined until it has said so in the directory. */
  supervisor(): ProcessIdentity | undefined;
  /** Starts it. Throws what the file system or `spawn` says. */
  launch(spec: RunSpec, supervisorCommand: readonly string[]): void;
  /** Nobody will start it any more; false if somebody has. */
  abandon(reason: string): boolean;
  /** What it says of itself; undefined while it does not answer. */
  ping(timeoutMs: number): Promise<SessionHealth | undefined>;
  /** Throws when it cannot be reached. */
  invoke(payload: Buffer, headers: Readonly<Record<string, string>>, timeoutMs: number): Promise<ContainerAnswer>;
  /** Ends it without a word to anybody outside; `sinceMs` says for how long that has been tried. */
  kill(sinceMs: number): void;
  /** Nothing of it is left. Kills what a dead supervisor left. */
  isGone(): Promise<boolean>;
}

const listens = z.object({ port: z.int() });

/**
 * `stopTimeoutMs` is that of the spec that it was or will be launched with. `known` is the supervisor that was seen before: it is
 * asked for once, so that whoever removes the directory of a live run does not make it out of reach.
 */
export function container(path: string, stopTimeoutMs: number, known?: ProcessIdentity): Container {
  const dir = runDir(path);
  let seen = known;

  return {
    path,
    supervisor,

    launch(spec, [program = '', ...parameters]) {
      dir.prepare(spec);
      const output = openSync(dir.file(RUN_FILES.supervisorLog), 'a', 0o600);
      try {
        const stdio = ['ignore', output, output] as const;
        const child = spawn(program, [...parameters, path], { cwd: path, detached: true, stdio: [...stdio] });
        child.once('error', (error) => abandonUnlessGone(error.message));
        child.once('exit', () => abandonUnlessGone('the supervisor ended before the container started'));
        child.unref();
      } finally {
        closeSync(output);
      }
    },

    abandon: (reason) => dir.abandon(reason),

    async ping(timeoutMs) {
      try {
        const answer = await fetch(`${address()}/ping`, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
        return answer.ok ? sessionHealth.parse(await answer.json()) : undefined;
      } catch {
        return undefined;
      }
    },

    async invoke(payload, headers, timeoutMs) {
      const answer = await fetch(`${address()}/invocations`, {
        method: 'POST',
        headers,
        body: new Uint8Array(payload),
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      return {
        status: answer.status,
        contentType: answer.headers.get('content-type') ?? 'application/octet-stream',
        body: Buffer.from(await answer.arrayBuffer()),
      };
    },

    kill(sinceMs) {
      const owner = supervisor();
      if (owner) signal(owner, sinceMs > stopTimeoutMs + STOP_MARGIN_MS ? 'SIGKILL' : 'SIGTERM');
    },

    async isGone() {
      const marker = dir.marker();
      const owner = seen ?? marker?.owner;
      if (owner === undefined) return marker !== undefined;
      if (isAlive(owner)) return false;
      const exit = dir.exit();
      if (exit && !exit.survivors) return true;
      return (await killAll({ leader: dir.started()?.child, origin: owner, places: [path] })) === 0;
    },
  };

  function supervisor(): ProcessIdentity | undefined {
    seen ??= dir.marker()?.owner;
    return seen;
  }

  /** The directory may have been removed while a supervisor that had nothing more to do ended. */
  function abandonUnlessGone(reason: string): void {
    if (existsSync(dir.file(RUN_FILES.spec)) && dir.marker() === undefined) dir.abandon(reason);
  }

  function address(): string {
    const { port } = listens.parse(readWhole(dir.file(RUN_FILES.session)));
    return `http://127.0.0.1:${port}`;
  }
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { RUN_FILES } from '../schemas/run-files.ts';
import { exitRecord, type RunSpec, runMarker, supervisorRecord } from '../schemas/supervised-run.ts';
import { createWhole, readWhole, writeWhole } from './supervisor-files.ts';
import { isAlive, killAll, signal } from './supervisor-processes.ts';

/** Looks this often whether a container has started or ended: its supervisor is no child of who waits. */
const POLL_MS = 50;
/** A supervisor that has not come up after this time never will: it is one Node start-up. */
const START_MS = 20_000;
/** After the end of its stop time-out a supervisor has this long to end its container before it is killed itself. */
const STOP_MARGIN_MS = 10_000;
/** Exit code of a container whose end nobody saw: that of SIGKILL. */
const KILLED = 137;

/** What is kept of a container until it is removed, under its name. */
export const containerFile = z.object({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  /** Directory of its supervisor. */
  path: z.string(),
  /** Directory that it works in, and that is not its own. */
  workspace: z.string(),
  stopTimeoutSeconds: z.number().min(0),
});
export type ContainerFile = z.infer<typeof containerFile>;

/** A container that is a process under a supervisor. All but `launch` may be called by any process, at any time. */
export interface LocalContainer {
  /** Starts it; false if it did not come up. */
  launch(spec: RunSpec, supervisorCommand: readonly string[], environment: NodeJS.ProcessEnv): Promise<boolean>;
  isGone(): Promise<boolean>;
  /** Resolves with its exit code, as a shell has it, when nothing of it is left. */
  ended(): Promise<number>;
  /** SIGTERM, and SIGKILL after its time. */
  stop(): Promise<void>;
  kill(): Promise<void>;
  /** Takes the report of the run out of the workspace, which will be wiped, to where logs are. */
  keepReport(): void;
}

export function localContainer({ path, workspace, stopTimeoutSeconds }: ContainerFile): LocalContainer {
  const file = (name: (typeof RUN_FILES)[keyof typeof RUN_FILES]): string => join(path, name);
  const marker = () => runMarker.safeParse(readWhole(file(RUN_FILES.marker))).data;
  const exit = () => exitRecord.safeParse(readWhole(file(RUN_FILES.exit))).data;
  const started = () => supervisorRecord.safeParse(readWhole(file(RUN_FILES.supervisor))).data;
  return { launch, isGone, ended, stop, kill, keepReport };

  async function launch(
    spec: RunSpec,
    [program = '', ...parameters]: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<boolean> {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    writeWhole(file(RUN_FILES.spec), spec);
    const output = openSync(file(RUN_FILES.supervisorLog), 'a', 0o600);
    const child = spawn(program, [...parameters, path], {
      cwd: path,
      detached: true,
      env,
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    const over = once(child, 'exit').catch(() => undefined);
    child.unref();
    const until = performance.now() + START_MS;
    while (started() === undefined && exit() === undefined && performance.now() < until) {
      if ((await Promise.race([over, sleep(POLL_MS, 'waited')])) !== 'waited') break;
    }
    // Nobody starts it any more, unless somebody has.
    if (started() === undefined) createWhole(file(RUN_FILES.marker), { abandoned: 'the supervisor did not come up' });
    return started() !== undefined;
  }

  async function isGone(): Promise<boolean> {
    const taken = marker();
    if (taken?.owner === undefined) return taken !== undefined || !existsSync(path);
    if (isAlive(taken.owner)) return false;
    return (await killAll({ leader: started()?.child, origin: taken.owner, places: [path, workspace] })) === 0;
  }

  async function ended(): Promise<number> {
    while (!(await isGone())) await sleep(POLL_MS);
    const { exitCode, signal: name } = exit() ?? {};
    return exitCode ?? (name === 'SIGTERM' ? 143 : KILLED);
  }

  async function stop(): Promise<void> {
    const until = performance.now() + stopTimeoutSeconds * 1_000 + STOP_MARGIN_MS;
    // Time and again: there may be nobody to hear it yet. A supervisor heeds the first one alone.
    do signalOwner('SIGTERM');
    while (!(await isGone()) && performance.now() < until && (await sleep(POLL_MS, true)));
    if (!(await isGone())) await kill();
  }

  async function kill(): Promise<void> {
    const until = performance.now() + STOP_MARGIN_MS;
    do signalOwner('SIGKILL');
    while (!(await isGone()) && performance.now() < until && (await sleep(POLL_MS, true)));
  }

  function signalOwner(name: NodeJS.Signals): void {
    const owner = marker()?.owner;
    if (owner) signal(owner, name);
  }

  function keepReport(): void {
    const report = join(workspace, RUN_FILES.report);
    if (existsSync(report)) copyFileSync(report, file(RUN_FILES.report));
  }
}

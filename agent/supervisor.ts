import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { RUN_FILES } from '../schemas/run-files.ts';
import type { ExitRecord, ProcessIdentity, RunMarker, RunSpec, SupervisorRecord } from '../schemas/supervised-run.ts';
import { createWhole, isErrno, writeWhole } from './supervisor-files.ts';
import { boundedLog } from './supervisor-log.ts';
import { identityOfChild, killAll, type RunProcesses, signal } from './supervisor-processes.ts';

/*
 * One small process per run, in its own session, which outlives Baton: `supervisor <run directory>`. It starts the runner at most
 * once per directory, keeps its output, passes a stop on, leaves no process of the run behind and writes down how it ended.
 */

/** Waits this long for the last output after all writers of it are dead, in milliseconds. */
const LAST_OUTPUT_MS = 1_000;
/** Tries to write the end of the run while the disk is full: 20 tries, half a second apart, before giving up (seen as lost). */
const EXIT_WRITE_TRIES = 20;
const EXIT_WRITE_PAUSE_MS = 500;
/** Between two seconds of killing what does not die: it is stuck in the kernel, or makes new processes as fast as they are killed. */
const SURVIVOR_PAUSE_MS = 1_000;

const directory = process.argv[2];
if (directory === undefined) {
  process.stderr.write('usage: supervisor <run directory>\n');
  process.exit(64);
}
process.exitCode = await supervise(directory);
process.exit();

async function supervise(runDir: string): Promise<number> {
  const stop = stopSignal();
  const spec: RunSpec = JSON.parse(readFileSync(join(runDir, RUN_FILES.spec), 'utf8'));
  const owner = identityOfChild(process.pid);
  if (!createWhole(join(runDir, RUN_FILES.marker), { owner } satisfies RunMarker)) return 0;

  const exit = stop.requested
    ? neverStarted('stopped before the runner was started')
    : await run(runDir, spec, owner, stop);
  return (await writeExit(join(runDir, RUN_FILES.exit), exit)) ? 0 : 1;
}

async function run(runDir: string, spec: RunSpec, origin: ProcessIdentity, stop: StopSignal): Promise<ExitRecord> {
  const startedAt = new Date().toISOString();
  const log = boundedLog(join(runDir, RUN_FILES.log), spec.logMaxBytes);
  let child: ChildProcessByStdio<null, Readable, Readable>;
  try {
    child = startRunner(spec);
    if (child.pid === undefined) return neverStarted(await spawnError(child));
  } catch (error) {
    return neverStarted(String(error));
  }
  child.stdout.on('data', log.append);
  child.stderr.on('data', log.append);

  const ended = once(child, 'exit');
  const closed = once(child, 'close');
  const leader = identityOfChild(child.pid);
  const processes: RunProcesses = { leader, origin, places: [runDir] };
  try {
    const record: SupervisorRecord = { pid: process.pid, startedAt, childPid: child.pid, child: leader };
    writeWhole(join(runDir, RUN_FILES.supervisor), record);
  } catch (error) {
    while ((await killAll(processes)) > 0) await sleep(SURVIVOR_PAUSE_MS);
    return neverStarted(`the start could not be written down: ${String(error)}`);
  }

  let overdue: NodeJS.Timeout | undefined;
  stop.whenRequested(() => {
    signal(leader, 'SIGTERM');
    overdue = setTimeout(() => void killAll(processes), spec.stopTimeoutSeconds * 1_000);
  });
  const [exitCode, signalName]: (number | string | null)[] = await ended;
  const endedAt = new Date().toISOString();
  clearTimeout(overdue);
  const exit: ExitRecord = {
    exitCode: typeof exitCode === 'number' ? exitCode : null,
    signal: typeof signalName === 'string' ? signalName : null,
    startedAt,
    endedAt,
  };
  for (let survivors = await killAll(processes); survivors > 0; survivors = await killAll(processes)) {
    await writeExit(join(runDir, RUN_FILES.exit), { ...exit, survivors });
    await sleep(SURVIVOR_PAUSE_MS);
  }
  await Promise.race([closed, sleep(LAST_OUTPUT_MS)]);
  log.finish();
  return exit;
}

/** In a session and process group of its own. Some failures throw, others leave it without a pid and emit `error`. */
function startRunner(spec: RunSpec): ChildProcessByStdio<null, Readable, Readable> {
  const [program = '', ...parameters] = spec.command;
  return spawn(program, parameters, {
    cwd: spec.cwd,
    env: { ...process.env, ...spec.environment },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

interface StopSignal {
  readonly requested: boolean;
  /** Calls back once, at the first SIGTERM, or now if it came already. */
  whenRequested(callback: () => void): void;
}

function stopSignal(): StopSignal {
  let requested = false;
  let callback: (() => void) | undefined;
  process.on('SIGTERM', () => {
    if (requested) return;
    requested = true;
    callback?.();
  });
  for (const name of ['SIGINT', 'SIGHUP'] as const) process.on(name, () => undefined);
  return {
    get requested() {
      return requested;
    },
    whenRequested(next) {
      callback = next;
      if (requested) next();
    },
  };
}

async function spawnError(child: ChildProcess): Promise<string> {
  const [error]: unknown[] = await once(child, 'error');
  return error instanceof Error ? error.message : String(error);
}

function neverStarted(error: string): ExitRecord {
  return { exitCode: null, signal: null, startedAt: null, endedAt: new Date().toISOString(), error };
}

async function writeExit(file: string, exit: ExitRecord): Promise<boolean> {
  for (let attempt = 1; attempt <= EXIT_WRITE_TRIES; attempt++) {
    try {
      writeWhole(file, exit);
      return true;
    } catch (error) {
      process.stderr.write(`exit of the run not written: ${String(error)}\n`);
      if (!isErrno(error, 'ENOSPC') && !isErrno(error, 'EDQUOT')) return false;
      await sleep(EXIT_WRITE_PAUSE_MS);
    }
  }
  return false;
}

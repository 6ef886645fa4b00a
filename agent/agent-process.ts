import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { LINE_MAX_BYTES, OUTPUT_DRAIN_MS } from './limits.ts';
import type { Masking } from './masking.ts';
import { lineReader } from './output.ts';
import { identityOfChild, killAll } from './supervisor-processes.ts';
import { signalGroup } from './survivors.ts';

export interface AgentEnd {
  /** null: ended by a signal. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface AgentOptions {
  readonly command: string;
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly input: string;
  readonly stop: AbortSignal;
  readonly stopGraceMs: number;
  /** Of what it prints, before `onLine` gets it. */
  readonly masking: Masking;
  readonly onLine: (line: string) => void;
}

/**
 * Runs the agent command as one `/bin/sh -c` line in the clone, in a process group of its own, with its input on standard
 * input. When `stop` aborts, the group gets SIGTERM, and SIGKILL after the grace. When this returns, nothing that the command
 * started is left, as far as it can be found (`RunProcesses`): its group, and on Linux whatever carries `BATON_PROMPT_FILE` of
 * this run or works in its clone. Should the runner itself be killed, a guard in another session sees its pipe close and kills them.
 */
export async function runAgent(options: AgentOptions): Promise<AgentEnd> {
  const { BATON_PROMPT_FILE = '', PATH } = options.environment;
  // Before the agent: a runner that is killed between the two would leave an agent that nobody ends. Until the guard is told the group,
  // a moment later, it knows the agent by its mark alone, which takes a `/proc`.
  const guard = startGuard(`BATON_PROMPT_FILE=${BATON_PROMPT_FILE}`, PATH);
  const agent = startAgent(options, guard);
  const ended = endOf(agent);
  const closed = once(agent, 'close').catch(() => undefined);
  const groupId = agent.pid;
  if (groupId === undefined) {
    guard.kill('SIGKILL');
    return ended;
  }
  guard.stdin?.write(`${groupId}\n`);
  const leader = identityOfChild(groupId);
  const origin = identityOfChild(process.pid);
  const readers = [agent.stdout, agent.stderr].map((stream) => {
    const reader = lineReader(LINE_MAX_BYTES, options.masking, options.onLine);
    stream.on('data', (bytes: Buffer) => reader.write(bytes));
    stream.on('error', () => undefined);
    return reader;
  });
  // An agent that does not read its input, or ends early, breaks the pipe; that is its right.
  agent.stdin.on('error', () => undefined);
  agent.stdin.end(options.input);

  const cancelKill = onStop(options.stop, options.stopGraceMs, groupId);
  try {
    return await ended;
  } finally {
    cancelKill();
    signalGroup(groupId, 'SIGKILL');
    await killAll({ leader, origin, places: [options.folder, BATON_PROMPT_FILE].filter((place) => place !== '') });
    guard.kill('SIGKILL');
    const drained = new AbortController();
    await Promise.race([closed, sleep(OUTPUT_DRAIN_MS, undefined, { signal: drained.signal }).catch(() => undefined)]);
    drained.abort();
    agent.stdout.destroy();
    agent.stderr.destroy();
    for (const reader of readers) reader.end();
  }
}

/** Throws what `spawn` throws, of words that no process can be given. */
function startAgent({ command, folder, environment }: AgentOptions, guard: ChildProcess) {
  try {
    return spawn('/bin/sh', ['-c', command], {
      cwd: folder,
      env: environment,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  } catch (error) {
    guard.kill('SIGKILL');
    throw error;
  }
}

function endOf(agent: ChildProcess): Promise<AgentEnd> {
  return new Promise((resolve, reject) => {
    agent.once('error', reject);
    agent.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
  });
}

/** SIGTERM when `stop` aborts, SIGKILL after the grace; returns what calls it off. */
function onStop(stop: AbortSignal, graceMs: number, groupId: number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const begin = (): void => {
    signalGroup(groupId, 'SIGTERM');
    timer = setTimeout(() => signalGroup(groupId, 'SIGKILL'), graceMs);
  };
  if (stop.aborted) begin();
  else stop.addEventListener('abort', begin, { once: true });
  return () => {
    stop.removeEventListener('abort', begin);
    clearTimeout(timer);
  };
}

/** Is told the group, and waits. Kills it, then (where there is a `/proc`) whoever left it but still carries the mark. */
const GUARD = `read -r group && read -r _
[ -n "$group" ] && kill -KILL "-$group"
grep -lzxF -- "$1" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do kill -KILL "$pid"; done`;

/** A process in another session that waits for the end of a pipe which only the runner holds open, and then clears up. */
function startGuard(mark: string, path: string | undefined): ChildProcess {
  const guard = spawn('/bin/sh', ['-c', GUARD, 'guard', mark], {
    detached: true,
    env: path === undefined ? {} : { PATH: path },
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.on('error', () => undefined);
  guard.stdin?.on('error', () => undefined);
  guard.unref();
  return guard;
}

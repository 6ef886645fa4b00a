import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessIdentity } from '../schemas/supervised-run.ts';

/** Looks for survivors this often; a process may fork between the look and the kill, so one look is not enough. */
const KILL_ROUNDS = 50;
/** Between two looks: killed processes need a moment to vanish. 50 rounds are one second. */
const KILL_ROUND_MS = 20;

/** All that belongs to one run: the group of its leader and, on Linux, whatever carries its directory in the environment. */
export interface RunProcesses {
  leader: ProcessIdentity | undefined;
  /** Marks the processes of the run: the runner has it in `BATON_RUN_DIR`, the agent in `BATON_PROMPT_FILE`. Survives setsid. */
  runDir: string;
}

/** The identity of a live process; undefined when there is none (a zombie is none). */
export function identityOf(pid: number): ProcessIdentity | undefined {
  if (process.platform === 'linux') {
    const stat = linuxStat(pid);
    return stat && !stat.dead ? { pid, start: `${bootId()}:${stat.start}` } : undefined;
  }
  const [state, ...start] = ps(['-o', 'stat=,lstart=', '-p', String(pid)])
    .trim()
    .split(/\s+/);
  return !state || state.startsWith('Z') ? undefined : { pid, start: start.join(' ') };
}

/** The identity of one's own child, which may have ended already without having been waited for. */
export function identityOfChild(pid: number): ProcessIdentity {
  const stat = process.platform === 'linux' ? linuxStat(pid) : undefined;
  return stat ? { pid, start: `${bootId()}:${stat.start}` } : (identityOf(pid) ?? { pid, start: '' });
}

export const isAlive = (process: ProcessIdentity): boolean => identityOf(process.pid)?.start === process.start;

/** Sends the signal if the process is still the one that is meant. */
export function signal(target: ProcessIdentity, name: NodeJS.Signals): void {
  if (isAlive(target)) kill(target.pid, name);
}

/** Kills all that is left of a run until nothing is; the number of processes that could not be killed in a second (0 normally). */
export async function killAll(run: RunProcesses): Promise<number> {
  for (let round = 0; round < KILL_ROUNDS; round++) {
    const left = livingOf(run);
    if (left.length === 0) return 0;
    for (const pid of left) kill(pid, 'SIGKILL');
    await sleep(KILL_ROUND_MS);
  }
  return livingOf(run).length;
}

/** The pids of a run that live. Never this process. */
export function livingOf(run: RunProcesses): number[] {
  const group = run.leader && groupIsOurs(run.leader) ? run.leader.pid : undefined;
  const pids = process.platform === 'linux' ? linuxPidsOf(group, run.runDir) : groupPids(group);
  return pids.filter((pid) => pid !== process.pid);
}

/** While a group has members its number is not given away, so only a live leader with another start makes it somebody else's. */
function groupIsOurs(leader: ProcessIdentity): boolean {
  const now = identityOf(leader.pid);
  return now === undefined || now.start === leader.start;
}

function linuxPidsOf(group: number | undefined, runDir: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    const stat = linuxStat(pid);
    if (!stat || stat.dead) return false;
    return (group !== undefined && (stat.group === group || stat.session === group)) || carries(pid, runDir);
  });
}

/** True if a `BATON_…` variable of the process names the run directory or a file in it. */
function carries(pid: number, runDir: string): boolean {
  const variables = readOr(`/proc/${pid}/environ`, '')
    .split('\0')
    .filter((entry) => entry.startsWith('BATON_'));
  return variables.some((entry) => `${entry.slice(entry.indexOf('=') + 1)}/`.startsWith(`${runDir}/`));
}

/** Without /proc a process that left the group (setsid) is out of reach. */
function groupPids(group: number | undefined): number[] {
  if (group === undefined) return [];
  const rows = ps(['-A', '-o', 'pid=,pgid=,stat='])
    .split('\n')
    .map((row) => row.trim().split(/\s+/));
  return rows
    .filter(([, pgid, state]) => Number(pgid) === group && !state?.startsWith('Z'))
    .map(([pid]) => Number(pid));
}

/** /proc/<pid>/stat after the command name, which may itself hold blanks and brackets (proc(5), fields 3, 5, 6 and 22). */
function linuxStat(pid: number): { dead: boolean; group: number; session: number; start: string } | undefined {
  const text = readOr(`/proc/${pid}/stat`, '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields.length < 20) return undefined;
  return {
    dead: /^[ZXx]/.test(fields[0] ?? ''),
    group: Number(fields[2]),
    session: Number(fields[3]),
    start: fields[19] ?? '',
  };
}

let boot: string | undefined;
function bootId(): string {
  boot ??= readOr('/proc/sys/kernel/random/boot_id', 'unknown-boot').trim();
  return boot;
}

function kill(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone in between, or not ours to kill: the next look tells.
  }
}

function ps(options: string[]): string {
  try {
    return execFileSync('ps', options, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}

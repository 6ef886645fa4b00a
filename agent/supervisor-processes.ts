import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessIdentity } from '../schemas/supervised-run.ts';

/** Looks for survivors this often; a process may fork between the look and the kill, so one look is not enough. */
const KILL_ROUNDS = 50;
/** Between two looks: killed processes need a moment to vanish. 50 rounds are one second. */
const KILL_ROUND_MS = 20;

/**
 * All that belongs to one run: the group and session of its leader and, on Linux, whatever has one of `places` or something below it
 * as the value of a `BATON_` variable, as its working directory, as its program or as its root directory.
 *
 * What escapes: on Linux a process that has all of its own session, an emptied environment, and its working directory, program and
 * root elsewhere, or one that forks faster than the list of processes can be read; without `/proc` (macOS) any that left the group.
 * Only a container or a virtual machine per run keeps those.
 */
export interface RunProcesses {
  leader: ProcessIdentity | undefined;
  /**
   * Started all of it and is not part of it. A session older than it stands in `places` by chance, as a person's shell does; a
   * shell opened later in the directory of a run cannot be told from the run, and ends with it.
   */
  origin: ProcessIdentity;
  /** Absolute paths of directories or files that only this run uses. */
  places: readonly string[];
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

/** The pids of a run that live. Never this process, nor the origin. */
export function livingOf(run: RunProcesses): number[] {
  if (bootOf(run.origin) !== currentBoot()) return [];
  const group = run.leader && groupIsOurs(run.leader) ? run.leader.pid : undefined;
  const pids = process.platform === 'linux' ? linuxPidsOf(group, run) : groupPids(group);
  return pids.filter((pid) => pid !== process.pid && pid !== run.origin.pid);
}

/** While a group has members its number is not given away, so only a live leader with another start makes it somebody else's. */
function groupIsOurs(leader: ProcessIdentity): boolean {
  const now = identityOf(leader.pid);
  return now === undefined || now.start === leader.start;
}

function linuxPidsOf(group: number | undefined, run: RunProcesses): number[] {
  const places = [...new Set(run.places.flatMap((place) => [place, realPathOf(place)]))];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    const stat = linuxStat(pid);
    // A dead process may have threads that live on, or are still dying.
    if (!stat || (stat.dead && stat.threads < 2)) return false;
    if (group !== undefined && (stat.group === group || stat.session === group)) return true;
    return carries(pid, places) || (standsIn(pid, places) && !isOlder(stat.session, run.origin));
  });
}

/** True if a `BATON_…` variable of the process names one of the places or something below it. */
function carries(pid: number, places: readonly string[]): boolean {
  const variables = readOr(`/proc/${pid}/environ`, '')
    .split('\0')
    .filter((entry) => entry.startsWith('BATON_'));
  return variables.some((entry) => isWithin(entry.slice(entry.indexOf('=') + 1), places));
}

/** True if the process works in one of the places, or was started from there. Open files do not count: a reader of the log has them. */
function standsIn(pid: number, places: readonly string[]): boolean {
  return ['cwd', 'exe', 'root'].some((link) => isWithin(linkOr(`/proc/${pid}/${link}`, ''), places));
}

/** Linux adds ` (deleted)` to a path that is gone. */
function isWithin(path: string, places: readonly string[]): boolean {
  return places.some((place) => path === place || path === `${place} (deleted)` || path.startsWith(`${place}/`));
}

/** A process makes new sessions or stays in its own, so none of the run is ever in a session from before it. */
function isOlder(session: number, origin: ProcessIdentity): boolean {
  const leader = linuxStat(session);
  return leader !== undefined && Number(leader.start) < Number(origin.start.slice(origin.start.indexOf(':') + 1));
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

/** /proc/<pid>/stat after the command name, which may itself hold blanks and brackets (proc(5), fields 3, 5, 6, 20 and 22). */
function linuxStat(
  pid: number,
): { dead: boolean; threads: number; group: number; session: number; start: string } | undefined {
  const text = readOr(`/proc/${pid}/stat`, '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields.length < 20) return undefined;
  return {
    dead: /^[ZXx]/.test(fields[0] ?? ''),
    threads: Number(fields[17]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    start: fields[19] ?? '',
  };
}

/** On Linux the boot that a process belongs to; elsewhere nothing tells. */
const bootOf = (identity: ProcessIdentity): string =>
  process.platform === 'linux' ? identity.start.slice(0, identity.start.indexOf(':')) : '';
const currentBoot = (): string => (process.platform === 'linux' ? bootId() : '');

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

function linkOr(link: string, otherwise: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return otherwise;
  }
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

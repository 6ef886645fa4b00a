import { readdirSync, readFileSync } from 'node:fs';

/** Sends a signal to every process of a group. A group without members (on macOS: with dead ones only, EPERM) is no error. */
export function signalGroup(groupId: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-groupId, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM'))) throw error;
  }
}

/**
 * Kills processes that left their group but still carry `mark` (`NAME=value`) in their first environment; returns how many.
 * Reads `/proc`; where there is none (macOS) it finds nobody.
 */
export function killMarked(mark: string, rounds: number): number {
  let killed = 0;
  for (let round = 0; round < rounds; round += 1) {
    const marked = processIds().filter((pid) => pid !== process.pid && carries(pid, mark));
    if (marked.length === 0) break;
    for (const pid of marked) killed += kill(pid) ? 1 : 0;
  }
  return killed;
}

function processIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function carries(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark);
  } catch {
    return false;
  }
}

function kill(pid: number): boolean {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

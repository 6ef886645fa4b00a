import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identityOf, killAll, livingOf, type RunProcesses } from '../agent/supervisor-processes.ts';

/** Between two tries to remove a folder, in milliseconds: who was killed may have written just before. */
const REMOVE_PAUSE_MS = 100;
/** Tries to remove a folder. 20 are two seconds, long for files that nobody writes any more. */
const REMOVE_TRIES = 20;

/** A fresh folder for a scene, below the temporary directory. Its path has no symbolic links. */
export const sceneFolder = (prefix = 'baton-scene-'): string => realpathSync(mkdtempSync(join(tmpdir(), prefix)));

/**
 * Puts the folder of a scene away: ends what still runs in it, then removes it. Runs outlive a world by design, so closing or killing
 * the world does not end them. Throws if a process cannot be killed or the folder cannot be removed.
 */
export async function putAway(folder: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    if ((await killAll(allIn(folder))) > 0) throw new Error(`still runs in ${folder}: ${runningIn(folder).join('; ')}`);
    try {
      rmSync(folder, { recursive: true, force: true });
      return;
    } catch (error) {
      if (tries === REMOVE_TRIES) throw error;
      await sleep(REMOVE_PAUSE_MS);
    }
  }
}

/** What runs in a folder, as a person reads it: pid and command line of each process. */
export const runningIn = (folder: string): string[] =>
  livingOf(allIn(folder)).map((pid) => `${pid} ${commandLineOf(pid)}`);

/** A scene has its folder for itself, so no session is too old to be in it: the first process of the machine stands for its origin. */
const allIn = (folder: string): RunProcesses => ({
  leader: undefined,
  origin: identityOf(1) ?? { pid: 1, start: '' },
  places: [folder],
});

function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
  } catch {
    return '(has ended)';
  }
}

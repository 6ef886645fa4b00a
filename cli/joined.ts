import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Who follows a task in somebody else's world says every so often, in milliseconds, that it is there. */
const SIGN_INTERVAL_MS = 1_000;
/** After this time without a sign, in milliseconds, it is not counted on: five missed signs, or a stopped process. */
const SIGN_MAX_AGE_MS = 5_000;

const folderIn = (dataDir: string): string => join(dataDir, 'joined');

/** Says in the data directory that this process would take the world over; the answer takes the word back. */
export function standBy(dataDir: string, pid: number): () => void {
  const sign = join(folderIn(dataDir), String(pid));
  const give = (): void => {
    try {
      mkdirSync(folderIn(dataDir), { recursive: true });
      writeFileSync(sign, '');
    } catch {
      // Nobody hands over to us then; a world that goes away is taken over all the same.
    }
  };
  give();
  const timer = setInterval(give, SIGN_INTERVAL_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    rmSync(sign, { force: true });
  };
}

/** Processes that would take the world of this data directory over, as far as their signs are fresh. */
export function standingBy(dataDir: string, nowMs: number): number[] {
  let signs: string[];
  try {
    signs = readdirSync(folderIn(dataDir));
  } catch {
    return [];
  }
  return signs.flatMap((name) => {
    const pid = Number(name);
    const sign = join(folderIn(dataDir), name);
    const seenMs = statSync(sign, { throwIfNoEntry: false })?.mtimeMs;
    if (seenMs !== undefined && nowMs - seenMs <= SIGN_MAX_AGE_MS && isAlive(pid)) return [pid];
    rmSync(sign, { force: true });
    return [];
  });
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

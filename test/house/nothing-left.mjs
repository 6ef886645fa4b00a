import { setTimeout as sleep } from 'node:timers/promises';
import { tsImport } from 'tsx/esm/api';

/** What a test has ended may still be ending, for so long, in milliseconds; scenes have seen their processes end. */
const ENDING_MS = 5_000;

/** Runs once after the last test: what tests left in the temporary directory is removed, and a process that works there fails the run. */
export default async function nothingLeft() {
  const folder = process.env.TMPDIR;
  const { putAway, runningIn } = await tsImport('../scene-folder.ts', import.meta.url);
  for (const endMs = Date.now() + ENDING_MS; runningIn(folder).length > 0 && Date.now() < endMs; ) await sleep(100);
  const left = runningIn(folder);
  if (left.length > 0) {
    console.error(`tests left processes behind:\n${left.join('\n')}`);
    process.exitCode = 1;
  }
  await putAway(folder);
}

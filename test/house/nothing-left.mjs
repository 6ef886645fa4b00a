import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';

/** What a test has ended may still be ending, for so long, in milliseconds; scenes have seen their processes end. */
const ENDING_MS = 5_000;

/** No run of the tests takes so long, in milliseconds: a day, for one that waits with a suspended machine or searches far. */
const RUN_MAX_MS = 86_400_000;

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

/**
 * Runs once after the last test: what tests left in the temporary directory is removed, and a process that works there fails the run.
 * So does a function that no story on loopback ran, where all tests were asked for.
 */
export default async function nothingLeft({ testPathPatterns, testNamePattern }) {
  const folder = process.env.TMPDIR;
  const { putAway, runningIn } = await tsImport('../scene-folder.ts', import.meta.url);
  const { testProgramsMark } = await tsImport('../programs.ts', import.meta.url);
  for (const endMs = Date.now() + ENDING_MS; runningIn(folder).length > 0 && Date.now() < endMs; ) await sleep(100);
  const left = runningIn(folder);
  if (left.length > 0) {
    console.error(`tests left processes behind:\n${left.join('\n')}`);
    process.exitCode = 1;
  }
  for (const name of readdirSync(dist))
    if (name.includes(testProgramsMark(folder)) || isForgotten(name)) rmSync(join(dist, name), { force: true });
  if (testPathPatterns.patterns.length === 0 && !testNamePattern) await everyFunctionRan();
  await putAway(folder);
}

/** A program of a run that was killed, and could not take it away. */
function isForgotten(name) {
  const { mtimeMs } = statSync(join(dist, name), { throwIfNoEntry: false }) ?? {};
  return /^\..*\.baton-tests-/.test(name) && Date.now() - mtimeMs > RUN_MAX_MS;
}

async function everyFunctionRan() {
  const { neverRan } = await tsImport('../loopback/ran-functions.ts', import.meta.url);
  const idle = neverRan();
  if (idle.length === 0) return;
  console.error(`no story on loopback runs ${idle.join(', ')}: tell one there (test/flows/every-world.ts)`);
  process.exitCode = 1;
}

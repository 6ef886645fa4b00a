// Runs every check and counts them; the last line is `N passed, N failed`. Needs the dependencies (scripts/setup.mjs).
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The slowest step (jest) takes a few minutes on two busy cores; after this many minutes something hangs. */
const STEP_LIMIT_MIN = 30;
/** Steps that run beside each other: two cores, and most steps use one. */
const LANES = 2;

/** Each step counts as one test; its output is shown only when it fails. */
const STEPS = [
  { name: 'lint', command: ['node_modules/.bin/biome', 'check', '--error-on-warnings', '.'] },
  { name: 'types', command: ['node_modules/.bin/tsc', '--project', 'tsconfig.json'] },
  { name: 'walls', command: ['node', 'scripts/walls.mjs'] },
  { name: 'unused', command: ['node_modules/.bin/knip', '--no-progress'] },
  // Functions too: the first tests on loopback would each bundle them for themselves.
  { name: 'build', command: ['node', 'scripts/build.mjs', '--all'] },
  {
    name: 'generated documents',
    command: ['node_modules/.bin/tsx', 'scripts/generate.ts', '--check'],
    needs: 'scripts/generate.ts',
  },
];

const SKIPPED_SCANS =
  'not run here: secret scan (gitleaks), dependency scan (osv-scanner), lint of the image (hadolint): the workflow of the public host runs them, .github/workflows/ci.yml';

const count = { passed: 0, failed: 0, skipped: 0 };

if (!existsSync(join(root, 'node_modules', '.bin'))) {
  console.error('check: the dependencies are not installed; run `npm run setup` first, or `npm test`, which does it.');
  count.failed += 1;
} else {
  const waiting = [...STEPS];
  await Promise.all(Array.from({ length: LANES }, () => runLane(waiting)));
  await runJest();
  console.log(SKIPPED_SCANS);
}

const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
process.exitCode = count.failed > 0 ? 1 : 0;
console.log(`${count.passed} passed, ${count.failed} failed${skipped}`);

async function runLane(waiting) {
  for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) await runStep(step);
}

async function runStep({ name, command, needs }) {
  if (needs !== undefined && !existsSync(join(root, needs))) {
    console.log(`-- ${name}: nothing to check, there is no ${needs}`);
    return;
  }
  const startedMs = performance.now();
  const { ok, output } = await run(command, { live: false });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  count[ok ? 'passed' : 'failed'] += 1;
  console.log(`${ok ? 'ok' : 'FAIL'} ${name} (${seconds} s)`);
  if (!ok) console.log(output.trimEnd());
}

async function runJest() {
  console.log('tests');
  const folder = mkdtempSync(join(tmpdir(), 'baton-check-'));
  const resultFile = join(folder, 'jest.json');
  const { ok, output } = await run(
    [
      'node',
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      // A late answer in a test's own server reads what jest has put away; it says so once per worker.
      '--disable-warning=JEST-01',
      'node_modules/jest/bin/jest.js',
      '--reporters=<rootDir>/test/reporter/compact.mjs',
      '--json',
      `--outputFile=${resultFile}`,
    ],
    { live: true },
  );
  const result = readResult(resultFile);
  rmSync(folder, { recursive: true, force: true });
  if (result === undefined) {
    console.log(output.trimEnd());
    console.log('FAIL jest ended without a result');
    count.failed += 1;
    return;
  }
  count.passed += result.numPassedTests;
  // A test file that could not be loaded has no tests of its own to fail.
  count.failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
  count.skipped += result.numPendingTests + result.numTodoTests;
  if (!ok && result.numFailedTests + result.numRuntimeErrorTestSuites === 0) {
    console.log('FAIL jest reported a failure outside every test');
    count.failed += 1;
  }
}

function readResult(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Runs a command in the checkout. `live` shows what it prints on standard output as it comes, except jest's one line of JSON. */
function run([program, ...words], { live }) {
  return new Promise((resolve) => {
    const child = spawn(program === 'node' ? process.execPath : program, words, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = [];
    const take = (chunk) => {
      output.push(chunk);
      if (live) process.stdout.write(chunk);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    const limit = setTimeout(() => {
      take(`\nstopped after ${STEP_LIMIT_MIN} minutes\n`);
      child.kill('SIGKILL');
    }, STEP_LIMIT_MIN * 60_000);
    const end = (ok) => {
      clearTimeout(limit);
      resolve({ ok, output: output.join('') });
    };
    child.on('error', (error) => {
      take(`${error.message}\n`);
      end(false);
    });
    child.on('close', (code) => end(code === 0));
  });
}

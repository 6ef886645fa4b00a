// `npm run bench`: how fast, how lean and how quickly back is the embedded world's engine? docs/benchmarks.md explains the figures.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { bundleFigures } from './bundles.ts';
import type { LoopFigures } from './closed-loop.ts';
import type { HandoverFigures } from './handover.ts';
import type { MatcherFigures } from './matcher.ts';
import { median } from './meter.ts';
import type { ParkedFigures, RestartFigures } from './parked.ts';
import { printTable } from './table.ts';
import type { Area } from './where-time-goes.ts';

/** Longest single scenario in milliseconds; one that takes longer hangs. */
const SCENARIO_MAX_MS = 120_000;

/** Cold loads of each bundle unless `--rounds` says otherwise: they vary by some milliseconds. */
const BUNDLE_ROUNDS = 15;

const USAGE = `Usage: npm run bench [-- options]
  --quick          one short round, up to 1,000 parked tasks (half a minute)
  --rounds <n>     rounds of the closed loop, of which the medians are printed (default 3)
  --bundles        only size and cold load of the Lambda functions, beside bare bundles of the same clients (default 15 rounds)
  --handover       only how soon a freed slot has its next task started
  --matcher        only the matcher of event patterns, beside a naive interpreter
  --peer-harness   only bundle the harness for a comparison with other orchestrators, and print its path`;

const root = fileURLToPath(new URL('..', import.meta.url));
const outdir = join(root, 'dist', 'bench');

const { values: asked } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    'peer-harness': { type: 'boolean', default: false },
    bundles: { type: 'boolean', default: false },
    handover: { type: 'boolean', default: false },
    matcher: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const rounds = Number(asked.rounds ?? (asked.quick ? 1 : 3));

if (asked.help || !Number.isInteger(rounds) || rounds < 1) {
  console.log(USAGE);
  process.exitCode = asked.help ? 0 : 2;
} else if (asked.bundles) {
  await bundles();
} else {
  await bundle();
  if (asked['peer-harness']) console.log(join(outdir, 'peer-harness.js'));
  else if (asked.matcher) await matcher();
  else if (asked.handover) await handovers();
  else await measure();
}

async function measure(): Promise<void> {
  console.log(`Node ${process.version}, ${cpus().length} cores, synced store, every request and signal twice.`);
  await closedLoops();
  await handovers();
  await parkedAndRestarted();
  await profiled();
  await matcher();
}

async function closedLoops(): Promise<void> {
  const levels = [1, 64, 512];
  const times = asked.quick ? { warmMs: 1_000, windowMs: 2_000 } : { warmMs: 2_000, windowMs: 4_000 };
  const found = new Map<number, LoopFigures[]>(levels.map((level) => [level, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [inFlight, figures] of found) {
      figures.push(await inOwnDirectory<LoopFigures>('closed-loop', { inFlight, ...times }));
    }
  }
  const rows = [...found].map(([inFlight, figures]) => {
    const of = (name: keyof LoopFigures): number => median(figures.map((one) => one[name]));
    return [
      inFlight,
      of('perSecond'),
      of('e2eP50'),
      of('e2eP99'),
      of('signalP50'),
      of('signalP99'),
      of('cpuMsPerTask'),
      of('rssMb'),
      of('pssMb'),
    ];
  });
  printTable(
    `Full life cycles (${rounds === 1 ? 'one round' : `medians of ${rounds} rounds`})`,
    [
      'in flight',
      'tasks/s',
      'e2e p50 ms',
      'e2e p99 ms',
      'signal→settled p50 ms',
      'p99 ms',
      'CPU ms/task',
      'RSS MB',
      'PSS MB',
    ],
    rows,
  );
}

async function parkedAndRestarted(): Promise<void> {
  const levels = asked.quick ? [100, 1_000] : [100, 1_000, 10_000];
  const dataDir = newDirectory();
  try {
    const parked = await run<ParkedFigures[]>('parked', { dataDir, levels, idleMs: asked.quick ? 2_000 : 5_000 });
    printTable(
      'Parked in RUNNING',
      ['tasks', 'filled at tasks/s', 'idle CPU % of a core', 'kB/task', 'signal→settled p50 ms', 'p99 ms'],
      parked.map((one) => [
        one.parked,
        one.perSecond,
        one.idleCpuPercent,
        one.parked < 1_000 ? '–' : one.kbPerTask,
        one.signalP50,
        one.signalP99,
      ]),
    );
    const back = await run<RestartFigures>('restart', { dataDir });
    printTable(
      'Restart after kill -9 with all of them parked',
      ['found', 'process start→ready ms', 'store open ms', 'recover ms', 'started again', 'then settled', 'at tasks/s'],
      [[back.found, back.processMs, back.openMs, back.recoverMs, back.startedAgain, back.settled, back.perSecond]],
    );
    if (back.found !== levels.at(-1) || back.startedAgain > 0) {
      throw new Error(`${levels.at(-1)} tasks were parked, ${back.found} found, ${back.startedAgain} started again`);
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function handovers(): Promise<void> {
  const rows: (string | number)[][] = [];
  for (const lines of [1, 16]) {
    const found: HandoverFigures[] = [];
    for (let round = 0; round < rounds; round++) {
      found.push(await inOwnDirectory<HandoverFigures>('handover', { lines, tasks: asked.quick ? 100 : 400 / lines }));
    }
    const of = (name: keyof HandoverFigures): number => median(found.map((one) => one[name]));
    rows.push([lines, of('waited'), of('p50'), of('p99'), of('max')]);
  }
  printTable(
    'Slot freed → next in line started, four at once in each line',
    ['lines', 'waited', 'p50 ms', 'p99 ms', 'max ms'],
    rows,
  );
}

async function profiled(): Promise<void> {
  const times = asked.quick ? { warmMs: 1_500, windowMs: 2_000 } : { warmMs: 2_000, windowMs: 5_000 };
  const areas = await inOwnDirectory<Area[]>('where-time-goes', { inFlight: 64, ...times });
  printTable(
    'Where the time goes, 64 in flight (sampled)',
    ['area', '% of CPU', 'ms/task'],
    areas.map(({ area, percent, msPerTask }) => [area, percent, msPerTask]),
  );
}

async function matcher(): Promise<void> {
  const figures = await run<MatcherFigures[]>(
    'matcher',
    asked.quick ? { rounds: 1, roundMs: 100 } : { rounds: 5, roundMs: 300 },
  );
  printTable(
    'Rules of an event, thousands of events per second of processor time (with: and JSON.parse)',
    ['rules', 'JSON.parse alone', 'naive', 'matcher', 'ratio', 'naive with', 'matcher with', 'ratio with'],
    figures.map((one) => [
      one.rules,
      one.parse,
      one.naive,
      one.ours,
      one.ours / one.naive,
      one.parseAndNaive,
      one.parseAndOurs,
      one.parseAndOurs / one.parseAndNaive,
    ]),
  );
}

async function bundles(): Promise<void> {
  const times = asked.rounds === undefined && !asked.quick ? BUNDLE_ROUNDS : rounds;
  const figures = await bundleFigures(times);
  printTable(
    `Lambda functions and bare bundles of the same clients (load: Node ${process.version}, medians of ${times} cold processes)`,
    [
      'function',
      'others of its clients',
      ...['kB', 'bare', 'ratio'],
      ...['gzip kB', 'bare', 'ratio'],
      ...['load CPU ms', 'bare', 'ratio'],
      ...['load ms', 'bare'],
    ],
    figures.map(({ rules, ours, bare }) => [
      rules[0] ?? '',
      rules.length - 1,
      ours.kb,
      bare.kb,
      (ours.kb / bare.kb).toFixed(2),
      ours.gzipKb,
      bare.gzipKb,
      (ours.gzipKb / bare.gzipKb).toFixed(2),
      ours.loadCpuMs,
      bare.loadCpuMs,
      (ours.loadCpuMs / bare.loadCpuMs).toFixed(2),
      ours.loadMs,
      bare.loadMs,
    ]),
  );
}

async function inOwnDirectory<Figures>(name: string, options: object): Promise<Figures> {
  const dataDir = newDirectory();
  try {
    return await run<Figures>(name, { dataDir, ...options });
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** On the disk that the checkout is on: a temporary directory may be in memory, where syncing costs nothing. */
function newDirectory(): string {
  return mkdtempSync(join(outdir, 'data-'));
}

/** Runs a scenario in a process of its own, takes its line of figures, and kills it: a world has to stand that. */
async function run<Figures>(name: string, options: object): Promise<Figures> {
  const child = spawn(process.execPath, [join(outdir, 'scenario.js'), name, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: SCENARIO_MAX_MS,
    killSignal: 'SIGKILL',
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  let line: string | undefined;
  for await (line of createInterface({ input: child.stdout })) break;
  child.kill('SIGKILL');
  await gone;
  if (line === undefined) throw new Error(`the scenario ${name} ended without figures`);
  return JSON.parse(line) as Figures;
}

/** The same bundling as the product's own, so that the same code is measured. */
async function bundle(): Promise<void> {
  mkdirSync(outdir, { recursive: true });
  await build({
    absWorkingDir: root,
    entryPoints: {
      scenario: 'bench/scenario.ts',
      'peer-harness': 'bench/peer-harness.ts',
      'libsql-worker': 'runtime/engine/libsql-worker.ts',
    },
    outdir,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['libsql', '@libsql/*'],
    legalComments: 'none',
    logLevel: 'error',
  });
}

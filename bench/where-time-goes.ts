import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import { openLoad } from './load.ts';
import { sleep, threadCpuMs } from './meter.ts';

export interface ProfileOptions {
  readonly dataDir: string;
  readonly inFlight: number;
  readonly warmMs: number;
  readonly windowMs: number;
}

export interface Area {
  readonly area: string;
  readonly percent: number;
  readonly msPerTask: number;
}

/** Area → its files (in the bundle or as modules) and, first, functions that stand for themselves. First match counts. */
const AREAS: ReadonlyArray<{ area: string; functions?: RegExp; files?: RegExp }> = [
  { area: 'garbage collection', functions: /^\(garbage collector\)$/ },
  { area: 'JSON', functions: /^(toJson|toRecord|stringify|parse JSON)$/ },
  { area: 'store', files: /runtime\/engine\/(libsql|record)-|libsql\/index\.js|memory-store/ },
  { area: 'store: waking the writer', functions: /^postMessage$/ },
  { area: 'bus, matcher, scheduler', files: /engine\/(event-bus|scheduler|alarm-clock|engine)\.ts|runtime\/matcher/ },
  { area: 'react, events', files: /runtime\/(react|published|outcome)\.ts|^events\// },
  { area: 'handlers', files: /^handlers\// },
  { area: 'life cycle (pure decisions)', files: /^lifecycle\// },
  { area: 'domain ports (tasks, slots, runs, payloads, journal)', files: /^runtime\/|engine\/journal/ },
  { area: 'validation (zod)', files: /\/zod\/|^schemas\// },
  { area: 'hashing', files: /internal\/crypto|node:crypto/ },
  { area: 'simulated compute and clients', files: /^bench\/|local-ecs/ },
];
const REST = 'promises, timers, event loop';
const MAIN = 'main thread';
const WRITER = 'writer thread (SQLite, sync)';
const HELPERS = 'threads of the JavaScript engine (collector, compiler)';

/** Samples the main thread while full life cycles run, and sums up its time by area; other threads are one area each. */
export async function whereTimeGoes({ dataDir, inFlight, warmMs, windowMs }: ProfileOptions): Promise<Area[]> {
  const engineThreads = new Set(threadCpuMs().keys());
  const load = await openLoad(dataDir);
  let finished = 0;
  let stops = false;
  const clients = Array.from({ length: inFlight }, async () => {
    while (!stops) {
      await load.live();
      finished++;
    }
  });
  await sleep(warmMs);
  const session = new Session();
  session.connect();
  const before = { finished, threads: threadCpuMs() };
  session.post('Profiler.enable');
  session.post('Profiler.start');
  await sleep(windowMs);
  const after = { finished, threads: threadCpuMs() };
  const profile = await new Promise<Profiler.Profile>((resolve, reject) =>
    session.post('Profiler.stop', (error, answer) => (error ? reject(error) : resolve(answer.profile))),
  );
  stops = true;
  await Promise.all(clients);
  await load.close();

  const tasks = after.finished - before.finished;
  const threads = { [MAIN]: 0, [WRITER]: 0, [HELPERS]: 0 };
  for (const [id, ms] of before.threads) {
    const of = id === process.pid ? MAIN : engineThreads.has(id) ? HELPERS : WRITER;
    threads[of] += (after.threads.get(id) ?? ms) - ms;
  }
  const times = byArea(profile);
  const busyMs = [...times.values()].reduce((sum, ms) => sum + ms, 0);
  const mainMs = threads[MAIN] || busyMs;
  const areas = [...times].map(([area, ms]) => ({ area, ms: (ms / busyMs) * mainMs }));
  const all = [
    ...areas.sort((a, b) => b.ms - a.ms),
    { area: WRITER, ms: threads[WRITER] },
    { area: HELPERS, ms: threads[HELPERS] },
  ];
  const allMs = all.reduce((sum, { ms }) => sum + ms, 0);
  return all.map(({ area, ms }) => ({ area, percent: (100 * ms) / allMs, msPerTask: ms / tasks }));
}

/** Milliseconds that the samples saw in each area; waiting left out. */
function byArea({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Map<string, number> {
  const files = filesOfBundle();
  const areas = new Map(
    nodes.map(({ id, callFrame }) => {
      const { functionName, url, lineNumber } = callFrame;
      const file = url.endsWith(BUNDLE) ? (files[lineNumber] ?? '') : url;
      return [id, functionName === '(idle)' ? undefined : areaOf(functionName, file)];
    }),
  );
  const times = new Map<string, number>();
  samples.forEach((id, at) => {
    const area = areas.get(id);
    if (area !== undefined) times.set(area, (times.get(area) ?? 0) + (timeDeltas[at] ?? 0) / 1000);
  });
  return times;
}

const areaOf = (functionName: string, file: string): string =>
  AREAS.find(({ functions, files }) => functions?.test(functionName) || files?.test(file))?.area ?? REST;

const BUNDLE = new URL(import.meta.url).pathname;

/** Source file of each line of this bundle: esbuild puts its name in a comment before its code. */
function filesOfBundle(): string[] {
  let file = '';
  return readFileSync(BUNDLE, 'utf8')
    .split('\n')
    .map((line) => {
      file = /^\/\/ (\S+\.[cm]?[jt]s)$/.exec(line)?.[1] ?? file;
      return file;
    });
}

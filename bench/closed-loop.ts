import { openLoad } from './load.ts';
import { cpuMs, memoryMb, percentile, sleep } from './meter.ts';

/** Life cycles before the window opens, so that hot code is compiled; fewer where they take longer than WARM_MAX times the warm-up. */
const WARM_TASKS = 2_000;
const WARM_MAX = 3;

export interface LoopOptions {
  readonly dataDir: string;
  /** Clients; each asks for a task, waits until it is settled, and asks for the next. */
  readonly inFlight: number;
  readonly warmMs: number;
  readonly windowMs: number;
}

export type LoopFigures = Readonly<
  Record<
    'finished' | 'perSecond' | 'e2eP50' | 'e2eP99' | 'signalP50' | 'signalP99' | 'cpuMsPerTask' | 'rssMb' | 'pssMb',
    number
  >
>;

/** Full life cycles in a closed loop. Throws when a task was started twice or a slot was not returned. */
export async function closedLoop({ dataDir, inFlight, warmMs, windowMs }: LoopOptions): Promise<LoopFigures> {
  const load = await openLoad(dataDir);
  const endToEnd: number[] = [];
  const signal: number[] = [];
  let total = 0;
  let stops = false;
  let counts = false;
  const client = async (): Promise<void> => {
    while (!stops) {
      const { submittedMs, signalMs, settledMs } = await load.live();
      total++;
      if (!counts) continue;
      endToEnd.push(settledMs - submittedMs);
      signal.push(settledMs - signalMs);
    }
  };
  const clients = Array.from({ length: inFlight }, client);
  const warmUntilMs = performance.now() + WARM_MAX * warmMs;
  do await sleep(warmMs);
  while (total < WARM_TASKS && performance.now() < warmUntilMs);
  const before = { cpu: cpuMs(), at: performance.now() };
  counts = true;
  await sleep(windowMs);
  counts = false;
  const spent = { cpu: cpuMs() - before.cpu, ms: performance.now() - before.at };
  const memory = memoryMb();
  stops = true;
  await Promise.all(clients);

  const held = await load.slotsHeld();
  if (load.starts() !== total || held !== 0) {
    throw new Error(`${total} tasks, ${load.starts()} starts, ${held} slots not returned`);
  }
  await load.close();
  const finished = endToEnd.length;
  return {
    finished,
    perSecond: finished / (spent.ms / 1000),
    e2eP50: percentile(endToEnd, 0.5),
    e2eP99: percentile(endToEnd, 0.99),
    signalP50: percentile(signal, 0.5),
    signalP99: percentile(signal, 0.99),
    cpuMsPerTask: spent.cpu / finished,
    rssMb: memory.rss,
    pssMb: memory.pss,
  };
}

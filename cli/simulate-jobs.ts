import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Finding, SimulateResult } from '../runtime/simulated-world.ts';

/** Seeds that one process takes at a time: enough that its start does not count, few enough that all end together. */
const SEEDS_AT_ONCE = 200;

export interface JobsOptions {
  readonly seed: number;
  readonly seeds: number;
  readonly tasks: number;
  readonly faults: string;
  readonly jobs: number;
  /** Hears of each broken seed, in the order in which they are found. */
  readonly onFinding: (finding: Finding) => void;
  /** Hears how many more seeds are done. */
  readonly onDone: (seeds: number) => void;
}

/**
 * Runs the seeds in as many processes of this very program: a seed gives the same trace wherever it runs. Throws what a process said
 * that ended otherwise than with a result.
 */
export async function simulateInJobs(options: JobsOptions): Promise<SimulateResult> {
  const { seed, seeds, jobs } = options;
  const end = seed + seeds;
  const found: SimulateResult[] = [];
  let next = seed;
  const worker = async (): Promise<void> => {
    while (next < end) {
      const from = next;
      const count = Math.min(SEEDS_AT_ONCE, Math.ceil(seeds / jobs), end - from);
      next += count;
      const result = await oneJob(options, from, count);
      found.push(result);
      options.onDone(count);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  const firsts = found.flatMap(({ firstBrokenSeed }) => firstBrokenSeed ?? []);
  return {
    seeds,
    steps: found.reduce((sum, { steps }) => sum + steps, 0),
    broken: found.reduce((sum, { broken }) => sum + broken, 0),
    ...(firsts.length > 0 ? { firstBrokenSeed: Math.min(...firsts) } : {}),
  };
}

/** One process over some seeds: a line for each finding, and last its result. */
async function oneJob({ tasks, faults, onFinding }: JobsOptions, seed: number, seeds: number): Promise<SimulateResult> {
  const words = { seed, seeds, tasks, faults, jobs: 1 };
  const args = Object.entries(words).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const [, program = ''] = process.argv;
  const child = spawn(process.execPath, [...process.execArgv, program, 'simulate', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let result: SimulateResult | undefined;
  let complaint = '';
  child.stderr.on('data', (said) => {
    complaint += String(said);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const told = JSON.parse(line) as Finding | SimulateResult;
    if ('promise' in told) onFinding(told);
    else result = told;
  }
  const code = await ended;
  if (!result) throw new Error(`seeds ${seed} to ${seed + seeds - 1} ended with ${code}: ${complaint.trim()}`);
  return result;
}

import { reactions } from '../handlers/index.ts';
import { faultsNamed } from './simulation/faults.ts';
import { type Plant, runWorld, type WorldResult } from './simulation/world.ts';

export { faultNames, faults, faultsNamed } from './simulation/faults.ts';
export type { Finding, Plant, WorldResult } from './simulation/world.ts';

export interface SimulateOptions {
  /** The first seed; default 1. */
  readonly seed?: number;
  /** How many seeds, one after the other; default 1. */
  readonly seeds?: number;
  /** Tasks in each world; default 4. */
  readonly tasks?: number;
  /** `all`, `none`, or names with commas between them; default `all`. An unknown name is a RangeError. */
  readonly faults?: string;
  /** Hears of each seed as it ends, with its finding if a promise broke. */
  readonly onSeed?: (result: WorldResult) => void;
  /** Hears every line of every trace. */
  readonly trace?: (line: string) => void;
  /** A mistake put in on purpose. */
  readonly plant?: Plant;
}

export interface SimulateResult {
  readonly seeds: number;
  readonly steps: number;
  /** Seeds in which a promise broke. */
  readonly broken: number;
  readonly firstBrokenSeed?: number;
}

/**
 * Runs the shipped handlers in simulated worlds, one per seed: virtual time, one source of chance, faults, and the design's
 * promises checked at every write. The same seed gives the same trace, byte for byte.
 */
export async function simulate(options: SimulateOptions = {}): Promise<SimulateResult> {
  const { seed = 1, seeds = 1, tasks = 4 } = options;
  const faults = faultsNamed(options.faults ?? 'all');
  let steps = 0;
  let broken = 0;
  let firstBrokenSeed: number | undefined;
  for (let one = seed; one < seed + seeds; one++) {
    const result = await runWorld({
      seed: one,
      tasks,
      faults,
      reactions,
      ...(options.plant ? { plant: options.plant } : {}),
      ...(options.trace ? { trace: options.trace } : {}),
    });
    steps += result.steps;
    if (result.finding) {
      broken++;
      firstBrokenSeed ??= one;
    }
    options.onSeed?.(result);
  }
  return { seeds, steps, broken, ...(firstBrokenSeed === undefined ? {} : { firstBrokenSeed }) };
}

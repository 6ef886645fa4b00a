import type { Plant } from '../../runtime/simulated-world.ts';

/** A mistake that is put in on purpose. */
export interface PlantedBug {
  /** What is wrong, as one would find it in a review. */
  readonly name: string;
  /** Within how many seeds (from 1, four tasks) it must be found. */
  readonly within: number;
  /** Where some faults make it likelier; default all. */
  readonly faults?: string;
  readonly plant: Plant;
}

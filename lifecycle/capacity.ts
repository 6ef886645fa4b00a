import type { Task } from '../schemas/task.ts';

/** The capacity providers that every cluster with Fargate can have (Amazon ECS developer guide, Fargate capacity providers). */
export type CapacityProvider = 'FARGATE' | 'FARGATE_SPOT';

/** Losses that Spot capacity brings: taken back, or not there. */
const OF_SPOT: ReadonlySet<string> = new Set(['spot_interrupted', 'no_capacity']);

/** What the current attempt runs on. The same for every start of one attempt: only earlier ones count. */
export function capacityProviderOf({
  capacity = 'on-demand',
  attempt,
  history,
}: Pick<Task, 'capacity' | 'attempt' | 'history'>): CapacityProvider {
  switch (capacity) {
    case 'on-demand':
      return 'FARGATE';
    case 'spot':
      return 'FARGATE_SPOT';
    case 'spot-first':
      return history.some((entry) => entry.attempt < attempt && OF_SPOT.has(entry.lostFor ?? ''))
        ? 'FARGATE'
        : 'FARGATE_SPOT';
  }
}

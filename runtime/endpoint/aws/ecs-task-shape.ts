import type { EcsTaskStateChangeDetail } from '../../../events/aws/ecs-task-state-change.ts';

/** Times of a task: texts in its events, seconds since the epoch in the API. */
const TIMES: ReadonlySet<string> = new Set([
  'connectivityAt',
  'createdAt',
  'executionStoppedAt',
  'pullStartedAt',
  'pullStoppedAt',
  'startedAt',
  'stoppedAt',
  'stoppingAt',
]);
/** In events only. */
const EVENT_ONLY: ReadonlySet<string> = new Set(['updatedAt']);

/** A task as DescribeTasks has it, from the detail of its events. */
export const describedTask = (detail: EcsTaskStateChangeDetail): object =>
  Object.fromEntries(
    Object.entries(detail)
      .filter(([name]) => !EVENT_ONLY.has(name))
      .map(([name, value]) => [name, TIMES.has(name) && typeof value === 'string' ? Date.parse(value) / 1_000 : value]),
  );

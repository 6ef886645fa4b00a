import type { Slots } from '../../ports.ts';
import { taskKey } from '../../records.ts';
import { slotsOver } from '../../slots.ts';
import { taskIn } from '../../tasks.ts';
import type { EnvironmentOf } from '../environment.ts';
import * as clock from './clock.ts';
import { records } from './records.ts';

/** Slots in the table; whose lease is stale is read from the tasks beside them. */
export function open(environment: EnvironmentOf<'slots'>): Slots {
  const store = records(environment);
  const tasks = { get: async (taskId: string) => taskIn(await store.get(taskKey(taskId))) };
  return slotsOver({ store, tasks, clock: clock.open(), limitOf: () => environment.BATON_TASKS_AT_ONCE });
}

import { setTimeout as sleep } from 'node:timers/promises';
import { awsFleetWaits } from '../../../lifecycle/worker.ts';
import type { Slots } from '../../ports.ts';
import { taskKey } from '../../records.ts';
import { limitsOver, repositoriesOver } from '../../repositories.ts';
import { slotsOver } from '../../slots.ts';
import { taskIn } from '../../tasks.ts';
import { placesOver, workersOver } from '../../workers.ts';
import type { EnvironmentOf } from '../environment.ts';
import * as clock from './clock.ts';
import { records } from './records.ts';

/** Longest wait before the second try of a slot's write, in milliseconds: about as long as a read and a write take. Doubles. */
const BACKOFF_FIRST_MS = 20;
/** Longest wait between two tries, in milliseconds. With DECIDE_TRIES of them an operation takes 15 s on average at the worst, and functions have 30. */
const BACKOFF_MAX_MS = 1_000;

/**
 * A hundred tasks of one user are a hundred functions that write one item: each time one of them wins, and the others must not come back
 * together, or most would spend their tries and wait for Lambda's minute.
 */
export const backOff = (lost: number): Promise<unknown> =>
  sleep(Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** lost));

/** Slots in the table; whose lease is stale is read from the tasks beside them. */
export function open(environment: EnvironmentOf<'slots'>): Slots {
  const store = records(environment);
  const tasks = { get: async (taskId: string) => taskIn(await store.get(taskKey(taskId))) };
  const configured = limitsOver(repositoriesOver({ store }), () => environment.BATON_TASKS_AT_ONCE);
  return slotsOver({
    store,
    tasks,
    clock: clock.open(),
    limitOf: placesOver(workersOver({ store, clock: clock.open(), waits: awsFleetWaits }), configured),
    pause: backOff,
  });
}

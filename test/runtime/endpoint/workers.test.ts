import { expect, it } from '@jest/globals';
import { workerDesk } from '../../../runtime/endpoint/worker-desk.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { workerKey } from '../../../runtime/records.ts';
import { because } from '../../../schemas/reason.ts';
import type { Worker } from '../../../schemas/worker.ts';
import { at } from '../../builders.ts';

it('workers are listed fleet by fleet in the order of their names, without those that are gone', async () => {
  const store = memoryStore();
  const has = async (number: number, fleet: string, since: number, isGone = false): Promise<void> => {
    const worker = `i-0000000000000000${number}`;
    const record: Worker = isGone
      ? { worker, fleet, since: at(since), state: 'gone', reason: because('host_lost', 'It went.') }
      : { worker, fleet, since: at(since), state: 'idle' };
    await store.put(workerKey(worker), record, 'absent');
  };
  await has(1, 'main', 9);
  await has(2, 'main', 1);
  await has(3, 'main', 2, true);
  await has(4, 'big', 5);
  await has(5, 'big-1', 4);
  expect((await workerDesk(store).list()).map(({ worker, fleet }) => [fleet, worker.slice(-1)])).toEqual([
    ['big', '4'],
    ['big-1', '5'],
    ['main', '1'],
    ['main', '2'],
  ]);
});

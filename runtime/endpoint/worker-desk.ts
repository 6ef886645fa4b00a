import type { Worker } from '../../schemas/worker.ts';
import { type WorkerView, workerViewOf } from '../../schemas/worker-view.ts';
import type { RecordStore } from '../ports.ts';
import { workerKey } from '../records.ts';

/** Records of one page: more than all fleets of a deployment have workers, with those that are gone. */
const PAGE = 10_000;

/** What people may ask about the workers of fleets. */
export interface WorkerDesk {
  /** All that are not gone, fleet by fleet, by their names. */
  list(): Promise<readonly WorkerView[]>;
}

export function workerDesk(store: Pick<RecordStore, 'list' | 'durable'>): WorkerDesk {
  return {
    async list() {
      const stored = await store.list(workerKey(''), { limit: PAGE });
      await store.durable();
      return stored
        .map(({ value }) => value as Worker)
        .filter(({ state }) => state !== 'gone')
        .map(workerViewOf)
        .sort((one, other) => (placeOf(one) < placeOf(other) ? -1 : 1));
    },
  };
}

const placeOf = ({ fleet, worker }: WorkerView): string => `${fleet} ${worker}`;

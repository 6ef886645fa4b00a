import * as z from 'zod';
import { instant } from './json.ts';
import { reason } from './reason.ts';
import { fleetName, workerId, workerOwner } from './ssm-command.ts';
import { type Worker, workerState } from './worker.ts';

/** One worker as `GET /workers` and `workers --json` give it. */
export const workerView = z.object({
  worker: workerId,
  fleet: fleetName,
  state: workerState,
  /** Since when it is in its state. */
  since: instant,
  /** Whose run it has, or had when it was quarantined. */
  owner: workerOwner.optional(),
  /** It ends what it does, and gets nothing new. */
  leaving: z.object({ at: instant, reason }).optional(),
  /** Why it is quarantined. */
  reason: reason.optional(),
});
export type WorkerView = z.infer<typeof workerView>;

/** What people may see of a worker's record. */
export const workerViewOf = (worker: Worker): WorkerView => ({
  worker: worker.worker,
  fleet: worker.fleet,
  state: worker.state,
  since: worker.since,
  ...('owner' in worker && worker.owner ? { owner: worker.owner } : {}),
  ...(worker.leaving ? { leaving: { at: worker.leaving.at, reason: worker.leaving.reason } } : {}),
  ...('reason' in worker ? { reason: worker.reason } : {}),
});

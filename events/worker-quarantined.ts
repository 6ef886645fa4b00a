import * as z from 'zod';
import { reason } from '../schemas/reason.ts';
import { fleetName, workerId, workerOwner } from '../schemas/ssm-command.ts';
import { defineEvent } from './define.ts';

export const workerQuarantined = defineEvent({
  type: 'WorkerQuarantined',
  summary: 'A worker is out of its fleet, since nobody can prove that it is clean; its machine is replaced.',
  schema: z.object({
    fleet: fleetName,
    worker: workerId,
    reason,
    /** Whose run may be left on it. */
    owner: workerOwner.optional(),
  }),
});

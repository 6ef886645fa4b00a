import * as z from 'zod';
import { fleetName, workerId } from '../schemas/ssm-command.ts';
import { defineEvent } from './define.ts';

export const workerRegistered = defineEvent({
  type: 'WorkerRegistered',
  source: 'baton.agent',
  summary: 'A machine has booted, and says that it can take runs of a fleet.',
  schema: z.object({ fleet: fleetName, worker: workerId }),
  edge: 'in',
});

import * as z from 'zod';
import { TEXT_MAX_CHARS } from '../schemas/json.ts';
import { fleetName, workerId } from '../schemas/ssm-command.ts';
import { defineEvent } from './define.ts';

export const workerBootFailed = defineEvent({
  type: 'WorkerBootFailed',
  source: 'baton.agent',
  summary: 'A machine of a fleet could not be made ready: it takes no runs, and must be replaced.',
  schema: z.object({ fleet: fleetName, worker: workerId, message: z.string().max(TEXT_MAX_CHARS) }),
  edge: 'in',
});

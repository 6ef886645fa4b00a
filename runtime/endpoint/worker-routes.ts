import type { Route } from './loopback-server.ts';
import type { WorkerDesk } from './worker-desk.ts';

/** What operators and the command line ask about the workers of fleets. */
export const workerRoutes = (desk: WorkerDesk): readonly Route[] => [
  { method: 'GET', path: '/workers', handle: async () => ({ status: 200, json: await desk.list() }) },
];

import type { ReplayRequest } from '../../schemas/replay.ts';
import type { Route } from './loopback-server.ts';
import type { replayDesk } from './replay-desk.ts';

/** What operators and the command line ask about replays. */
export function replayRoutes(desk: ReturnType<typeof replayDesk>): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/replays',
      // The desk parses it.
      handle: async ({ body }) => ({ status: 200, json: await desk.start((await body()) as ReplayRequest) }),
    },
    { method: 'GET', path: '/replays', handle: async () => ({ status: 200, json: await desk.list() }) },
    {
      method: 'GET',
      path: '/replays/:name',
      handle: async ({ params: { name = '' } }) => ({ status: 200, json: await desk.view(name) }),
    },
    {
      method: 'POST',
      path: '/replays/:name/cancel',
      handle: async ({ params: { name = '' } }) => ({ status: 200, json: await desk.cancel(name) }),
    },
  ];
}

import type { Route } from './loopback-server.ts';
import type { RepositoryDesk } from './repository-desk.ts';

/** What operators and the command line ask about the configurations of repositories. */
export function repositoryRoutes(desk: RepositoryDesk): readonly Route[] {
  return [
    { method: 'GET', path: '/repositories', handle: async () => ({ status: 200, json: await desk.list() }) },
    {
      method: 'GET',
      path: '/repositories/:name',
      handle: async ({ params: { name = '' } }) => ({ status: 200, json: await desk.show(name) }),
    },
    {
      method: 'PUT',
      path: '/repositories/:name',
      handle: async ({ params: { name = '' }, body }) => ({ status: 200, json: await desk.set(name, await body()) }),
    },
    {
      method: 'DELETE',
      path: '/repositories/:name',
      handle: async ({ params: { name = '' } }) => ({ status: 200, json: await desk.remove(name) }),
    },
  ];
}

import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { deadLetterRoutes } from '../../runtime/endpoint/dead-letter-routes.ts';
import { replayRoutes } from '../../runtime/endpoint/replay-routes.ts';
import { repositoryRoutes } from '../../runtime/endpoint/repository-routes.ts';
import { runRoutes } from '../../runtime/endpoint/run-routes.ts';
import { taskRoutes } from '../../runtime/endpoint/task-routes.ts';
import { workerRoutes } from '../../runtime/endpoint/worker-routes.ts';
import { worldRoutes } from '../../runtime/endpoint/world-routes.ts';
import { LOG_HEADERS } from '../../schemas/world-api.ts';

const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');

/** Routes are values; what they would use is not touched before a call comes. */
const nothing = { ports: {} } as never;
const routes = [
  ...taskRoutes(nothing),
  ...worldRoutes(nothing, nothing, nothing),
  ...deadLetterRoutes(nothing),
  ...repositoryRoutes(nothing),
  ...workerRoutes(nothing),
  ...replayRoutes(nothing),
  ...runRoutes(nothing, nothing),
];

describe('the page on the API', () => {
  it('lists every request that a world answers, and no other', () => {
    const told = [...page.matchAll(/^\| `((?:GET|POST|PUT|DELETE) \S+)` \|/gm)].map((match) => match[1]);
    expect([...told].sort()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).sort());
  });

  it('names the headers of a log', () => {
    for (const header of Object.values(LOG_HEADERS)) expect(page).toContain(`\`${header}\``);
  });
});

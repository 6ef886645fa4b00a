import * as z from 'zod';
import { LOG_HEADERS } from '../../schemas/world-api.ts';
import { inputOf } from './input.ts';
import type { Route } from './loopback-server.ts';
import { readLog } from './run-log.ts';
import { LIST_MAX, type TaskDesk } from './task-desk.ts';

const count = z
  .string()
  .regex(/^\d{1,15}$/, 'a whole number')
  .transform(Number);
const listQuery = z.strictObject({
  limit: count.refine((limit) => limit >= 1 && limit <= LIST_MAX, `1 to ${LIST_MAX}`).optional(),
  after: z.string().min(1).optional(),
  user: z.string().min(1).optional(),
  settled: z.enum(['true', 'false']).optional(),
});
const logQuery = z.strictObject({ offset: count.optional(), attempt: count.refine((one) => one >= 1).optional() });

/** What producers, operators and the command line ask. */
export function taskRoutes(desk: TaskDesk): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/tasks',
      handle: async ({ body }) => ({ status: 200, json: await desk.submit(await body()) }),
    },
    {
      method: 'GET',
      path: '/tasks',
      async handle({ query }) {
        const { limit, after, user, settled } = inputOf(listQuery, query, 'the query');
        const tasks = await desk.list({
          limit,
          after,
          userId: user,
          settled: settled === undefined ? undefined : settled === 'true',
        });
        return { status: 200, json: tasks };
      },
    },
    {
      method: 'GET',
      path: '/tasks/:id',
      handle: async ({ params: { id = '' } }) => ({ status: 200, json: await desk.view(id) }),
    },
    {
      method: 'GET',
      path: '/tasks/:id/explanation',
      handle: async ({ params: { id = '' } }) => ({ status: 200, json: await desk.explain(id) }),
    },
    {
      method: 'POST',
      path: '/tasks/:id/cancel',
      handle: async ({ params: { id = '' }, body }) => ({ status: 200, json: await desk.cancel(id, await body()) }),
    },
    {
      method: 'GET',
      path: '/tasks/:id/log',
      async handle({ params: { id = '' }, query }) {
        const { offset = 0, attempt } = inputOf(logQuery, query, 'the query');
        const log = await desk.log(id, attempt);
        const piece = await readLog(log.file, offset, log.ended);
        const headers = {
          [LOG_HEADERS.end]: String(piece.end),
          [LOG_HEADERS.attempt]: String(log.attempt),
          [LOG_HEADERS.next]: String(piece.next),
        };
        return { status: 200, text: piece.bytes, headers };
      },
    },
  ];
}

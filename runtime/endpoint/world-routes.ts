import * as z from 'zod';
import type { WorldView } from '../../schemas/world-api.ts';
import type { EventStreams } from './event-stream.ts';
import { inputOf } from './input.ts';
import type { Route } from './loopback-server.ts';
import type { TaskDesk } from './task-desk.ts';

const eventsQuery = z.strictObject({ task: z.string().min(1).optional() });
const worldQuery = z.strictObject({});

/** The world itself, and what happens in it. */
export function worldRoutes(
  world: () => WorldView,
  streams: EventStreams,
  desk: Pick<TaskDesk, 'find'>,
): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/world',
      async handle({ query }) {
        inputOf(worldQuery, query, 'the query');
        return { status: 200, json: world() };
      },
    },
    {
      method: 'GET',
      path: '/events',
      async handle({ query, response }) {
        const { task } = inputOf(eventsQuery, query, 'the query');
        streams.open(response, task === undefined ? undefined : await desk.find(task));
        return 'streams';
      },
    },
  ];
}

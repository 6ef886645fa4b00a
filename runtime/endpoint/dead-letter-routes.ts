import * as z from 'zod';
import type { DeadLetterView } from '../../schemas/world-api.ts';
import { type DeadLetterBox, letterOf } from '../engine/dead-letter-box.ts';
import type { DeadLetter } from '../engine/event-bus.ts';
import type { RecordStore } from '../ports.ts';
import { inputOf } from './input.ts';
import type { Route } from './loopback-server.ts';
import { shownEvent } from './shown-event.ts';

/** Dead letters shown when nobody says how many, and at most: an event may have half a megabyte. */
export const DEAD_LETTERS_SHOWN = 20;
export const DEAD_LETTERS_SHOWN_MAX = 100;

const lettersQuery = z.strictObject({
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'a whole number')
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= DEAD_LETTERS_SHOWN_MAX, `1 to ${DEAD_LETTERS_SHOWN_MAX}`)
    .optional(),
});

/** What was given up. */
export function deadLetterRoutes(
  box: Pick<DeadLetterBox, 'newest'>,
  store: Pick<RecordStore, 'get' | 'durable'>,
): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/dead-letters',
      async handle({ query }) {
        const { limit = DEAD_LETTERS_SHOWN } = inputOf(lettersQuery, query, 'the query');
        const kept = await Promise.all(box.newest(limit).map((key) => store.get(key)));
        const letters = kept.flatMap((record) => (record ? [shownLetter(letterOf(record.value))] : []));
        await store.durable();
        return { status: 200, json: letters };
      },
    },
  ];
}

const shownLetter = (letter: DeadLetter): DeadLetterView => ({ ...letter, event: { ...shownEvent(letter.event) } });

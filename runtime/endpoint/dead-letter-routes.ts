import * as z from 'zod';
import { REDRIVEN_AT_ONCE_MAX, redriveRequest } from '../../schemas/world-api.ts';
import { BatonError } from '../errors.ts';
import type { DeadLetterDesk } from './dead-letter-desk.ts';
import { inputOf } from './input.ts';
import type { Route } from './loopback-server.ts';

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
  rule: z.string().min(1).optional(),
  before: z.string().min(1).optional(),
});

/** A page of another site cannot send even that: its content type is JSON's. */
const nothing = z.strictObject({});

/** What was given up, and how it is delivered once more. */
export function deadLetterRoutes(desk: DeadLetterDesk): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/dead-letters',
      async handle({ query }) {
        const { limit = DEAD_LETTERS_SHOWN, ...only } = inputOf(lettersQuery, query, 'the query');
        return { status: 200, json: await desk.list({ limit, ...only }) };
      },
    },
    {
      method: 'POST',
      path: '/dead-letters/redrive',
      async handle({ body }) {
        const asked = inputOf(redriveRequest, await body(), 'which dead letters');
        const ids =
          'ids' in asked ? asked.ids : desk.oldest(REDRIVEN_AT_ONCE_MAX, 'rule' in asked ? asked.rule : undefined);
        return { status: 200, json: await desk.redrive(ids) };
      },
    },
    {
      method: 'POST',
      path: '/dead-letters/:id/redrive',
      async handle({ params: { id = '' }, body }) {
        inputOf(nothing, await body(), 'redrive');
        const [redriven] = await desk.redrive([id]);
        if (redriven?.outcome === 'unknown_letter')
          throw new BatonError('unknown_letter', `There is no dead letter ${id}.`);
        return { status: 200, json: redriven };
      },
    },
  ];
}

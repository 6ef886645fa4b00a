import { applyLimit as rule } from '../rules/apply-limit.ts';
import { causeOf, react } from '../runtime/react.ts';
import { slotKeyOfRepository } from '../schemas/repository-config.ts';

/**
 * Lets the line of a repository move up when its limit was changed. Twice is harmless: the limit is read, not taken from the event, and
 * a place is given once.
 */
export const applyLimit = react(rule, async (event, { slots }) =>
  slots.check(slotKeyOfRepository(event.detail.data.name), causeOf(event)),
);

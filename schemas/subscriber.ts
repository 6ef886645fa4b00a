import * as z from 'zod';

/** Subscribers of one repository. */
export const SUBSCRIBERS_MAX = 4;
/** Longest address of a subscriber, in characters. */
export const SUBSCRIBER_TARGET_MAX = 256;

/** How a subscriber is told. */
export const channel = z.enum(['webhook']);

/** Who is told how a task ended. */
export const subscriber = z.strictObject({
  channel,
  /** Where to: for `webhook` an https address (http on this machine alone). */
  target: z.url({ protocol: /^https?$/ }).max(SUBSCRIBER_TARGET_MAX),
});

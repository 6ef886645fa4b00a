import * as z from 'zod';

/** A point in time as `Date.toISOString` writes it, so that text order is time order. */
export const instant = z.iso.datetime({ precision: 3 });

/** Longest text that goes into an event or a record beside its payload, in characters: keeps a fact below 2 kB. */
export const TEXT_MAX_CHARS = 500;

/** Cuts free text to what a fact may carry. */
export const shortText = (text: string): string =>
  text.length <= TEXT_MAX_CHARS ? text : `${text.slice(0, TEXT_MAX_CHARS - 1)}…`;

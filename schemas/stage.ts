import * as z from 'zod';

/** The deployment that is meant when none is named. */
export const STAGE_DEFAULT = 'main';

/** Names one deployment of an account: short, because it begins many names of AWS, and stands in `startedBy`. */
export const stage = z.string().regex(/^[a-z0-9-]{1,16}$/, 'is no stage: 1 to 16 small letters, digits and "-"');

/** What the names of a deployment begin with. Its table, its bus and its archive are called exactly so. */
export const prefixOf = (name: string): string => (name === STAGE_DEFAULT ? 'baton' : `baton-${name}`);

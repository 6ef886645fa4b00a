import type { WorldOptions } from '../runtime/embedded-world.ts';

/** How a world of this process asks GitHub: with the token of its environment, where there is one. */
export const GITHUB: Required<Pick<WorldOptions, 'github'>> = {
  github: { token: process.env['GITHUB_TOKEN'] || undefined },
};

/** Said once by whoever opens a world that screens nothing. */
export const SCREENING_IS_OFF = 'Screening is off: prompts and fetched texts reach the agent as they are.';

/** The same of one whose screening is for trying things out. */
export const SCREENING_IS_A_STAND_IN =
  'Screening is a stand-in: it knows a few phrases and stops nobody who means harm.';

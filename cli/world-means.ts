import type { WorldOptions } from '../runtime/embedded-world.ts';
import type { Compute } from '../schemas/compute.ts';

/** How a world of this process asks GitHub: with the token of its environment, where there is one. */
export const GITHUB: Required<Pick<WorldOptions, 'github'>> = {
  github: { token: process.env['GITHUB_TOKEN'] || undefined },
};

/** Said once by whoever opens a world that screens nothing. */
export const SCREENING_IS_OFF = 'Screening is off: prompts and fetched texts reach the agent as they are.';

/** The same of one whose screening is for trying things out. */
export const SCREENING_IS_A_STAND_IN =
  'Screening is a stand-in: it knows a few phrases and stops nobody who means harm.';

/** Where tasks run: the first is that of tasks that name none. */
export function computesText([first, ...others]: readonly Compute[]): string {
  const more = others.length === 0 ? '' : `; with --compute, or as their repository says, on ${others.join(' or ')}`;
  return `tasks run on ${first}${more}`;
}

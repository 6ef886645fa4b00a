import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { besideJest } from './beside-jest.ts';
import type { Bounds, Found } from './every-order.ts';

/** States of the larger searches; `BATON_TEST_STATES=1000000` looks at more by hand. */
const STATES = Number(process.env['BATON_TEST_STATES'] ?? 1_000);
/** No test is timed: only one that hangs on a busy machine is ended, in milliseconds. */
const SLOW_MS = 600_000;

/** Two tasks ask for the one place; the first one's run has claimed. */
const oneRuns = [
  'accept-task takes request-1',
  'accept-task takes request-2',
  'admit-task takes',
  'admit-task takes',
  'hydrate-task takes',
  'start-run-on-ecs takes',
  'comes up',
  'claims',
];
/** The run is lost, its slot went to the one who waited, and the next attempt is due. */
const otherRuns = [
  ...oneRuns,
  'is lost',
  '#STOPPED',
  'close-stop takes',
  'return-slot takes',
  'admit-waiter takes',
  'wakes for backoff',
];
const two = { tasks: 2, attempts: 2, places: 1, states: STATES, before: oneRuns };

/** As many ends without a report and as many cancels as the search may use up. */
const searches: readonly (Bounds & { readonly name: string })[] = [
  { name: 'one task, one attempt', tasks: 1, attempts: 1, places: 1, losses: 0, cancels: 0, states: 20_000 },
  {
    name: 'one task, two attempts, a lost run, a cancel',
    ...{ tasks: 1, attempts: 2, places: 1, losses: 1, cancels: 1, states: STATES },
  },
  { name: 'two tasks, one place, two attempts each, two lost runs', ...two, losses: 2, cancels: 0 },
  {
    name: 'two tasks, one place, two attempts each, after a lost run, another, and a cancel',
    ...{ ...two, losses: 2, cancels: 1, before: otherRuns },
  },
];

let simulator: ReturnType<typeof besideJest>;
beforeAll(() => {
  simulator = besideJest();
});
afterAll(() => simulator.close());

async function everyOrder(search: Bounds, planted?: string): Promise<Found> {
  const { found } = await simulator.ask({ search, ...(planted === undefined ? {} : { planted }) });
  if (!found) throw new Error('the simulator answered something else');
  return found;
}

const told = ({ states, moves, depth, complete, ends }: Found): string =>
  `${states} states, ${moves} moves, ${depth} steps deep${complete ? ', all there are' : ''}; ends: ${JSON.stringify(ends)}`;

describe('every order of every delivery, each as often as one likes', () => {
  it.each(searches)(
    'breaks nothing: $name',
    async ({ name, ...bounds }) => {
      const found = await everyOrder(bounds);
      process.stdout.write(`${name}: ${told(found)}\n`);
      expect(found.broken).toEqual([]);
      expect(found.stuck).toEqual([]);
      // What is bounded used up its bound, and what is not saw everything.
      expect(found.complete).toBe(found.states < bounds.states);
      expect(found.complete).toBe(bounds.states !== STATES);
    },
    SLOW_MS,
  );

  it('finds a mistake that was put in on purpose, and tells the way to it', async () => {
    const { broken } = await everyOrder(
      { ...two, losses: 0, cancels: 0 },
      'the slot goes back when the task ends, before its compute has ended',
    );
    expect(broken[0]).toMatchObject({ promise: 'slots', message: expect.stringMatching(/lost its place/) });
    expect(broken[0]?.way.at(-1)).toMatch(/^settle-task takes/);
  });
});

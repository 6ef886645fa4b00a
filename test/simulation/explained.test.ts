import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { outsiders } from '../../lifecycle/causal-tree.ts';
import { unexplained } from '../../runtime/simulation/explained.ts';
import { statuses, type Task } from '../../schemas/task.ts';
import { aTask, at } from '../builders.ts';
import { besideJest } from './beside-jest.ts';

/** Seeds that are counted: enough for every status, of which FINALIZING is the rarest, and for every kind of cause that there is. Every seed anywhere holds the same as a promise. */
const SEEDS = 80;
/** No test is timed: only one that hangs on a busy machine is ended, in milliseconds. */
const SLOW_MS = 400_000;

let simulator: ReturnType<typeof besideJest>;
beforeAll(() => {
  simulator = besideJest();
});
afterAll(() => simulator.close());

/** Too seldom for so few seeds: two deliveries of one text that get different answers, the worse one later; a machine that is taken away at work. */
const SELDOM = new Set(['TextScreened', 'EC2 Instance-terminate Lifecycle Action']);

describe('the states of simulated tasks', () => {
  it(
    `are explained, 100 % of them, for ${SEEDS} seeds`,
    async () => {
      const { told } = await simulator.ask({ explained: SEEDS });
      expect(told?.missing).toEqual([]);
      expect(told?.states).toBeGreaterThan(20 * SEEDS);
      expect(told?.explained).toBe(told?.states);
      expect(told?.statuses.toSorted()).toEqual([...statuses].sort());
      const spoke = new Set(told?.causes);
      expect(Object.keys(outsiders).filter((type) => !spoke.has(type) && !SELDOM.has(type))).toEqual([]);
      process.stdout.write(`${told?.explained} of ${told?.states} simulated states explained, ${SEEDS} seeds\n`);
    },
    SLOW_MS,
  );
});

describe('a state that nothing explains', () => {
  it('is found in a world, where a step has a cause that nobody knows', async () => {
    const { findings = [] } = await simulator.ask({ rumours: 5 });
    expect(findings.filter(({ promise }) => promise === 'explained').map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/ADMITTED v\d+: nothing links Rumour rumour to what came before/),
    );
  });

  // What these break is also another promise, which a world would name first.
  it.each<[string, Task, RegExp]>([
    ['nothing is due', { ...aTask({ status: 'HYDRATED' }), due: {} }, /^what comes next is/],
    ['nobody noticed the end', { ...aTask({ status: 'FAILED' }), detectedBy: 'nobody' as never }, /^nothing says who/],
    [
      'a due date has a purpose that nobody knows',
      { ...aTask({ status: 'RUNNING' }), due: { deadline: at(1), lunch: at(2) } as never },
      /^"lunch" is due without words/,
    ],
    [
      'a step was put off, and nothing tells why',
      { ...aTask({ status: 'RUNNING' }), delay: { at: at(1), message: 'ECS is busy' } },
      /^nothing tells the delay/,
    ],
    [
      'an attempt was lost without an entry',
      { ...aTask({ status: 'RUNNING' }), attempt: 2 },
      /^nothing says why attempt 1 was lost/,
    ],
  ])('is found: %s', (_, task, message) => {
    const history = task.history.map((entry) => ({
      ...entry,
      cause: { id: `${task.taskId}#cancel`, type: 'TaskCancelRequested' },
    }));
    expect(unexplained({ ...task, history }, new Map())).toEqual([expect.stringMatching(message)]);
  });
});

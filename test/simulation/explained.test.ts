import { describe, expect, it } from '@jest/globals';
import { outsiders } from '../../lifecycle/causal-tree.ts';
import { explain } from '../../lifecycle/explain.ts';
import { type Finding, type Plant, simulate } from '../../runtime/simulated-world.ts';
import { unexplained } from '../../runtime/simulation/explained.ts';
import { explanation } from '../../schemas/explanation.ts';
import { type Rejection, statuses, type Task } from '../../schemas/task.ts';
import { aTask, at } from '../builders.ts';

/** Seeds that are counted: enough for every status, of which FINALIZING is the rarest, and for every kind of cause that there is. Every seed anywhere holds the same as a promise. */
const SEEDS = 80;
/** No test is timed: only one that hangs on a busy machine is ended, in milliseconds. */
const SLOW_MS = 400_000;
/** Every so many states, the explanation is held against its schema, which costs more than all the rest. */
const PARSED_EACH = 10;

type Wiring = Parameters<NonNullable<Plant['wiring']>>[0];

/** Sees every task as it is written, and may write another in its place. */
const watching = (records: Map<string, unknown>, see: (task: Task) => Task): Plant => ({
  wiring: (wiring: Wiring) => ({
    ...wiring,
    store: {
      ...wiring.store,
      async put(key, value, expected, index) {
        const isTask = key.startsWith('TASK#') && (value as Task | Rejection).status !== 'REJECTED';
        const written = await wiring.store.put(key, isTask ? see(value as Task) : value, expected, index);
        if (written.outcome === 'written') records.set(key, value);
        return written;
      },
    },
  }),
});

/** Two deliveries of one text that get different answers, the worse one later, are too seldom for so few seeds. */
const SELDOM = new Set(['TextScreened']);

describe('the states of simulated tasks', () => {
  it(
    `are explained, 100 % of them, for ${SEEDS} seeds`,
    async () => {
      const missing: string[] = [];
      const seen = new Set<string>();
      const spoke = new Set<string>();
      let states = 0;
      let explained = 0;
      for (let seed = 1; seed <= SEEDS; seed++) {
        const records = new Map<string, unknown>();
        const plant = watching(records, (task) => {
          states++;
          seen.add(task.status);
          spoke.add(task.history.at(-1)?.cause.type ?? '');
          const open = unexplained(task, records);
          if (open.length === 0) explained++;
          else missing.push(`seed ${seed}: ${task.status} v${task.version}: ${open.join('; ')}`);
          if (states % PARSED_EACH === 0) {
            const around = { records: [], slot: undefined, journal: undefined, at: task.submittedAt };
            explanation.parse(explain({ task, ...around }));
          }
          return task;
        });
        await simulate({ seed, plant });
      }
      expect(missing).toEqual([]);
      expect(states).toBeGreaterThan(20 * SEEDS);
      expect(explained / states).toBe(1);
      expect([...seen].sort()).toEqual([...statuses].sort());
      expect(Object.keys(outsiders).filter((type) => !spoke.has(type) && !SELDOM.has(type))).toEqual([]);
      process.stdout.write(`${explained} of ${states} simulated states explained, ${SEEDS} seeds\n`);
    },
    SLOW_MS,
  );
});

describe('a state that nothing explains', () => {
  it('is found in a world, where a step has a cause that nobody knows', async () => {
    const found: (Finding | undefined)[] = [];
    const plant = watching(new Map(), (task) => ({
      ...task,
      history: task.history.map((entry) =>
        entry.to === 'ADMITTED' ? { ...entry, cause: { id: 'rumour', type: 'Rumour' } } : entry,
      ),
    }));
    await simulate({ seed: 1, seeds: 5, plant, onSeed: ({ finding }) => found.push(finding) });
    expect(found.filter((one) => one?.promise === 'explained').map((one) => one?.message)).toContainEqual(
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

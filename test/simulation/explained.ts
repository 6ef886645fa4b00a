import { explain } from '../../lifecycle/explain.ts';
import { type Finding, type Plant, simulate } from '../../runtime/simulated-world.ts';
import { unexplained } from '../../runtime/simulation/explained.ts';
import { explanation } from '../../schemas/explanation.ts';
import type { Rejection, Task } from '../../schemas/task.ts';

/** What was seen of the states of simulated tasks, and which of them nothing explains. */
export interface Explained {
  readonly states: number;
  readonly explained: number;
  readonly missing: readonly string[];
  readonly statuses: readonly string[];
  /** Types of the events that caused an entry. */
  readonly causes: readonly string[];
}

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

/** Explains every state of every task, for so many seeds. */
export async function explainedStates(seeds: number): Promise<Explained> {
  const missing: string[] = [];
  const seen = new Set<string>();
  const spoke = new Set<string>();
  let states = 0;
  let explained = 0;
  for (let seed = 1; seed <= seeds; seed++) {
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
  return { states, explained, missing, statuses: [...seen], causes: [...spoke] };
}

/** What worlds find in which every admission has a cause that nobody knows. */
export async function rumours(seeds: number): Promise<Finding[]> {
  const found: Finding[] = [];
  const plant = watching(new Map(), (task) => ({
    ...task,
    history: task.history.map((entry) =>
      entry.to === 'ADMITTED' ? { ...entry, cause: { id: 'rumour', type: 'Rumour' } } : entry,
    ),
  }));
  await simulate({ seed: 1, seeds, plant, onSeed: ({ finding }) => finding && found.push(finding) });
  return found;
}

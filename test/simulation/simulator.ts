import { createInterface } from 'node:readline';
import { reactions } from '../../handlers/index.ts';
import type { Reaction } from '../../runtime/react.ts';
import { type Finding, type SimulateOptions, simulate, type WorldResult } from '../../runtime/simulated-world.ts';
import { type Bounds, everyOrder, type Found } from './every-order.ts';
import { type Explained, explainedStates, rumours } from './explained.ts';
import foundAt from './found-at.json' with { type: 'json' };
import type { PlantedBug } from './planted-bug.ts';
import { plantedBugs } from './planted-bugs.ts';

/**
 * What can be asked for: worlds, with their traces or without; which of some lines no world of so many seeds shows; a world that finds a
 * planted bug; every order of deliveries, with a planted bug or without; whether all states of so many seeds are explained; what so many seeds
 * find where causes are rumours.
 */
export type Asked =
  | { readonly worlds: Pick<SimulateOptions, 'seed' | 'seeds' | 'tasks' | 'faults'>; readonly traced: boolean }
  | { readonly shown: readonly string[]; readonly faults: string; readonly within: number }
  | { readonly bug: string }
  | { readonly search: Omit<Bounds, 'reactions'>; readonly planted?: string }
  | { readonly explained: number }
  | { readonly rumours: number };

export interface Told {
  readonly results?: readonly WorldResult[];
  readonly lines?: readonly string[];
  readonly unseen?: readonly string[];
  readonly finding?: Finding;
  readonly findings?: readonly Finding[];
  readonly found?: Found;
  readonly told?: Explained;
}

const bugNamed = (name: string): PlantedBug => {
  const bug = plantedBugs.find((one) => one.name === name);
  if (!bug) throw new Error(`no bug is named "${name}"`);
  return bug;
};

/** With the reactions of a planted bug, or with those that are shipped. */
const searched = (bounds: Bounds, planted: string | undefined): Promise<Found> =>
  everyOrder(planted === undefined ? bounds : { ...bounds, reactions: planting(bugNamed(planted)) });

function planting({ name, plant }: PlantedBug): readonly Reaction[] {
  if (!plant.reactions) throw new Error(`"${name}" changes no reaction`);
  return plant.reactions(reactions);
}

/** Seeds by bug, where each was found before: they save time, and change no answer. `npx tsx test/simulation/find-seeds.ts` finds them anew. */
const foundBefore: Readonly<Record<string, number>> = foundAt;

/** What a seed finds of the bug: the one that found it before, or else the first that does. */
async function found({ name, plant, within, faults = 'all' }: PlantedBug): Promise<Told> {
  const before = foundBefore[name];
  const all = Array.from({ length: within }, (_, index) => index + 1);
  for (const seed of before !== undefined && before <= within ? [before, ...all] : all) {
    let finding: Finding | undefined;
    await simulate({ seed, faults, plant, onSeed: (result) => (finding = result.finding) });
    if (finding) return { finding };
  }
  return {};
}

/** Which of the lines, given as patterns, no world shows: the worlds are made one by one until all have been seen. */
async function unseen(patterns: readonly string[], faults: string, within: number): Promise<readonly string[]> {
  let missing = patterns;
  for (let seed = 1; seed <= within && missing.length > 0; seed++) {
    await simulate({
      seed,
      faults,
      trace: (line) => {
        missing = missing.filter((pattern) => !new RegExp(pattern).test(line.replace(/^\S+ +/, '')));
      },
    });
  }
  return missing;
}

async function told(asked: Asked): Promise<Told> {
  if ('shown' in asked) return { unseen: await unseen(asked.shown, asked.faults, asked.within) };
  if ('bug' in asked) return found(bugNamed(asked.bug));
  if ('search' in asked) return { found: await searched(asked.search, asked.planted) };
  if ('explained' in asked) return { told: await explainedStates(asked.explained) };
  if ('rumours' in asked) return { findings: await rumours(asked.rumours) };
  const results: WorldResult[] = [];
  const lines: string[] = [];
  await simulate({
    ...asked.worlds,
    onSeed: (result) => results.push(result),
    ...(asked.traced ? { trace: (line) => lines.push(line) } : {}),
  });
  return { results, lines };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await told(JSON.parse(line) as Asked))}\n`);
}

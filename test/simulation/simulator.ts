import { createInterface } from 'node:readline';
import { type Finding, type SimulateOptions, simulate, type WorldResult } from '../../runtime/simulated-world.ts';
import type { PlantedBug } from './planted-bug.ts';
import { plantedBugs } from './planted-bugs.ts';

/** What can be asked for: worlds, with their traces or without; or the first world that finds a planted bug. */
export type Asked =
  | { readonly worlds: Pick<SimulateOptions, 'seed' | 'seeds' | 'tasks' | 'faults'>; readonly traced: boolean }
  | { readonly bug: string };

export interface Told {
  readonly results?: readonly WorldResult[];
  readonly lines?: readonly string[];
  readonly finding?: Finding;
}

/** The first seed that finds the bug, and what it found. */
async function found({ plant, within, faults = 'all' }: PlantedBug): Promise<Told> {
  for (let seed = 1; seed <= within; seed++) {
    let finding: Finding | undefined;
    await simulate({ seed, faults, plant, onSeed: (result) => (finding = result.finding) });
    if (finding) return { finding };
  }
  return {};
}

async function told(asked: Asked): Promise<Told> {
  if ('bug' in asked) {
    const bug = plantedBugs.find(({ name }) => name === asked.bug);
    return bug ? found(bug) : {};
  }
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

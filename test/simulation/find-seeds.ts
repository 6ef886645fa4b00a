import { writeFileSync } from 'node:fs';
import { simulate } from '../../runtime/simulated-world.ts';
import { plantedBugs } from './planted-bugs.ts';

/** Writes down the first seed that finds each planted bug, for `npm test` to begin with (simulator.ts). Takes minutes. */
const foundAt: Record<string, number> = {};
for (const { name, plant, within, faults = 'all' } of plantedBugs) {
  for (let seed = 1; seed <= within && foundAt[name] === undefined; seed++) {
    await simulate({
      seed,
      faults,
      plant,
      onSeed({ finding }) {
        if (finding) foundAt[name] = seed;
      },
    });
  }
  if (foundAt[name] === undefined) process.stderr.write(`not found within ${within} seeds: ${name}\n`);
}
writeFileSync(new URL('./found-at.json', import.meta.url), `${JSON.stringify(foundAt, null, 2)}\n`);

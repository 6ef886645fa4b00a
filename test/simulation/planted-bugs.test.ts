import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { type Finding, faults, simulate } from '../../runtime/simulated-world.ts';
import { promiseNames } from '../../runtime/simulation/promise-names.ts';
import { type PlantedBug, plantedBugs } from './planted-bugs.ts';

const page = readFileSync(new URL('../../docs/simulation.md', import.meta.url), 'utf8');

/** The first seed that finds the bug, and what it found. */
async function found({ plant, within, faults = 'all' }: PlantedBug): Promise<Finding | undefined> {
  for (let seed = 1; seed <= within; seed++) {
    let finding: Finding | undefined;
    await simulate({
      seed,
      faults,
      plant,
      onSeed: (result) => {
        finding = result.finding;
      },
    });
    if (finding) return finding;
  }
  return undefined;
}

describe('a bug put in on purpose', () => {
  it.each(plantedBugs)(
    'is found: $name',
    async (bug) => {
      const finding = await found(bug);
      expect(finding).toBeDefined();
      const row = page.split('\n').find((line) => line.startsWith(`| ${bug.name} |`));
      expect(row).toBe(rowOf(bug));
    },
    400_000,
  );

  it('is one of at least 25', () => {
    expect(plantedBugs.length).toBeGreaterThanOrEqual(25);
    expect(page.split('\n').filter((line) => /\| \d+ \|$/.test(line))).toHaveLength(plantedBugs.length);
  });
});

describe('the page about the simulation', () => {
  it('lists every fault and every promise as the code has them', () => {
    const rows = [
      ...Object.entries(faults).map(([name, what]) => `| \`${name}\` | ${what} |`),
      ...Object.entries(promiseNames).map(([name, what]) => `| ${name} | ${what} |`),
    ];
    expect(rows.filter((row) => !page.includes(row))).toEqual([]);
  });
});

/** The row of the page: what was planted, and within how many seeds it must be found. */
const rowOf = ({ name, within }: PlantedBug): string => `| ${name} | ${within} |`;

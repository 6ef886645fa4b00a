import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { faults } from '../../runtime/simulated-world.ts';
import { promiseNames } from '../../runtime/simulation/promise-names.ts';
import { besideJest } from './beside-jest.ts';
import type { PlantedBug } from './planted-bug.ts';
import { plantedBugs } from './planted-bugs.ts';

const page = readFileSync(new URL('../../docs/simulation.md', import.meta.url), 'utf8');

let simulator: ReturnType<typeof besideJest>;
beforeAll(() => {
  simulator = besideJest();
});
afterAll(() => simulator.close());

describe('a bug put in on purpose', () => {
  it.each(plantedBugs)(
    'is found: $name',
    async (bug) => {
      const { finding } = await simulator.ask({ bug: bug.name });
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

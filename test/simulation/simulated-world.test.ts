import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { type Finding, faultNames, simulate, type WorldResult } from '../../runtime/simulated-world.ts';

/** Seeds of every run of the tests: enough that each planted bug is found several times over. */
const SEEDS = 500;
/** No test is timed: only one that hangs on a busy machine is ended, in milliseconds. */
const SLOW_MS = 400_000;

async function resultsOf(options: Parameters<typeof simulate>[0]): Promise<WorldResult[]> {
  const results: WorldResult[] = [];
  await simulate({ ...options, onSeed: (result) => results.push(result) });
  return results;
}

const launcher = fileURLToPath(new URL('../../bin/baton', import.meta.url));

/** What the command line says, and how it ends. */
function baton(words: readonly string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, [launcher, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, output })));
}

const told = ({ seed, promise, taskId, message, trace }: Finding): string =>
  [`seed ${seed}: ${promise}: ${taskId} ${message}`, ...trace.slice(-40)].join('\n');

describe('a simulated world with every fault', () => {
  it(
    `keeps every promise for ${SEEDS} seeds`,
    async () => {
      // The command itself: bundled it takes a quarter of the time that it takes here.
      const words = ['simulate', '--seed', '1', '--seeds', String(SEEDS), '--jobs', '1'];
      const { status, output } = await baton(words);
      expect({ status, output }).toEqual({
        status: 0,
        output: expect.stringMatching(/^500 seeds, \d+ steps: no promise broke/m),
      });
    },
    SLOW_MS,
  );

  it(
    'ends tasks in every way',
    async () => {
      const results = await resultsOf({ seed: 1, seeds: 40 });
      const ways = new Set(results.flatMap(({ ended }) => Object.keys(ended)));
      expect([...ways].sort()).toEqual(['CANCELLED', 'COMPLETED', 'FAILED', 'REJECTED', 'TIMED_OUT']);
    },
    SLOW_MS,
  );
});

describe('a world that hears nothing of its back end', () => {
  it('ends every task all the same', async () => {
    const results = await resultsOf({ seed: 1, seeds: 20, faults: 'deaf' });
    const others = await resultsOf({ seed: 1, seeds: 20, faults: 'deaf,crash,silent-death,runner-crash,ignores-stop' });
    expect([...results, ...others].flatMap(({ finding }) => (finding ? [told(finding)] : []))).toEqual([]);
    const ways = new Set(results.flatMap(({ ended }) => Object.keys(ended)));
    expect([...ways].filter((status) => !['COMPLETED', 'FAILED', 'TIMED_OUT', 'REJECTED'].includes(status))).toEqual(
      [],
    );
  });
});

describe('one seed', () => {
  it('gives the same trace twice, byte for byte', async () => {
    const lines: string[][] = [[], []];
    const [first] = await resultsOf({ seed: 7, seeds: 1, trace: (line) => lines[0]?.push(line) });
    const [second] = await resultsOf({ seed: 7, seeds: 1, trace: (line) => lines[1]?.push(line) });
    expect(lines[0]?.length).toBeGreaterThan(100);
    expect(lines[0]).toEqual(lines[1]);
    expect(first).toEqual(second);
  });

  it('does not depend on the seeds before it', async () => {
    const [, , third] = await resultsOf({ seed: 20, seeds: 3 });
    const [alone] = await resultsOf({ seed: 22, seeds: 1 });
    expect(alone?.traceHash).toBe(third?.traceHash);
  });

  it('differs from the next', async () => {
    const [one, other] = await resultsOf({ seed: 7, seeds: 2 });
    expect(one?.traceHash).not.toBe(other?.traceHash);
  });
});

describe('faults', () => {
  it.each(faultNames)('%s alone breaks nothing', async (name) => {
    const results = await resultsOf({ seed: 500, seeds: 2, faults: name });
    expect(results.flatMap(({ finding }) => (finding ? [told(finding)] : []))).toEqual([]);
  });

  it('are none when none are asked for, and every task completes or ends as its agent said', async () => {
    const results = await resultsOf({ seed: 1, seeds: 20, faults: 'none' });
    expect(results.filter(({ finding }) => finding)).toEqual([]);
    const dead = results.flatMap(({ ended }) => ended['CANCELLED'] ?? 0);
    expect(dead.reduce((sum, count) => sum + count, 0)).toBe(0);
  });

  it('that nobody knows are refused with the names that exist', async () => {
    await expect(simulate({ faults: 'duplicate,gremlins' })).rejects.toThrow(/"gremlins".*all, none, duplicate/);
  });
});

describe('a task of eight hours', () => {
  it('takes milliseconds', async () => {
    await simulate({ seed: 3, seeds: 5, tasks: 1, faults: 'slow-agent' });
    const began = performance.now();
    const results = await resultsOf({ seed: 100, seeds: 20, tasks: 1, faults: 'slow-agent' });
    const hours = results.map(({ simulatedMs }) => simulatedMs / 3_600_000);
    const each = (performance.now() - began) / results.length;
    process.stdout.write(`simulated up to ${Math.max(...hours).toFixed(1)} h; ${each.toFixed(1)} ms for each world\n`);
    expect(Math.max(...hours)).toBeGreaterThan(7);
  });
});

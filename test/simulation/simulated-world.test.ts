import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Finding, faultNames, simulate, type WorldResult } from '../../runtime/simulated-world.ts';
import { besideJest } from './beside-jest.ts';
import type { Asked } from './simulator.ts';

/**
 * Seeds of every run of the tests. Most planted bugs are found within 50 seeds, so such a mistake is found several times over; a rare one is
 * looked for with `baton simulate`, which takes as many seeds as one likes.
 */
const SEEDS = 100;
/** Where calls are refused, too, some promises say nothing: what was to be told may remain untold. */
const DYING_SEEDS = 60;
/** No test is timed: only one that hangs on a busy machine is ended, in milliseconds. */
const SLOW_MS = 400_000;

let simulator: ReturnType<typeof besideJest>;
beforeAll(() => {
  simulator = besideJest();
});
afterAll(() => simulator.close());

type Worlds = Extract<Asked, { worlds: object }>['worlds'];

const resultsOf = async (worlds: Worlds): Promise<readonly WorldResult[]> =>
  (await simulator.ask({ worlds, traced: false })).results ?? [];

const tracesOf = async (worlds: Worlds): Promise<readonly string[]> =>
  (await simulator.ask({ worlds, traced: true })).lines ?? [];

const launcher = fileURLToPath(new URL('../../bin/baton', import.meta.url));

/** What the command line says, and how it ends. */
function baton(words: readonly string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, [launcher, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, output })));
}

/** The lines of all traces, without their times. */
const linesOf = async (worlds: Worlds): Promise<string[]> =>
  (await tracesOf(worlds)).map((line) => line.replace(/^\S+ +/, ''));

/** Which of these lines, without their times, no world of the first so many seeds shows. */
const unseenOf = async (shown: readonly RegExp[], faults: string, within: number): Promise<readonly string[]> =>
  (await simulator.ask({ shown: shown.map(({ source }) => source), faults, within })).unseen ?? [];

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
        output: expect.stringMatching(new RegExp(`^${SEEDS} seeds, \\d+ steps: no promise broke`, 'm')),
      });
    },
    SLOW_MS,
  );

  it(
    'ends tasks in every way',
    async () => {
      const results = await resultsOf({ seed: 1, seeds: 20 });
      const ways = new Set(results.flatMap(({ ended }) => Object.keys(ended)));
      expect([...ways].sort()).toEqual(['CANCELLED', 'COMPLETED', 'FAILED', 'REJECTED', 'TIMED_OUT']);
    },
    SLOW_MS,
  );
});

describe('a simulated world whose handlers die, and in which no call is refused', () => {
  it(
    'keeps every promise',
    async () => {
      const results = await resultsOf({ seed: 1, seeds: DYING_SEEDS, faults: 'crash,duplicate,delay,cancel,scale-in' });
      expect(results.flatMap(({ finding }) => (finding ? [told(finding)] : []))).toEqual([]);
    },
    SLOW_MS,
  );
});

describe('the task definitions of simulated worlds', () => {
  it.each([
    ['registry-throttle', 20, /^baton registers baton-agent-user:1$/, /definition of \S+ is later$/],
    ['registry-throttle,duplicate', 60, /^ecs refuses baton-agent-user: two at once$/, /is later$/],
    ['new-base', 20, /^infrastructure registers baton-agent:2$/, /^infrastructure deregisters \S+baton-agent:1$/],
    ['legacy-family', 20, /^stranger registers baton-agent:/, /^start-run-on-ecs\S+ says \S+#TaskFailed$/],
    ['clone-gone', 20, /^stranger deregisters \S+baton-agent-user:/, /is not active any more: another is registered$/],
    ['new-base,changed-users,rate-limit', 60, /says \S+#rejected$/, /^baton deregisters \S+baton-agent-user:1$/],
  ])('show %s', async (faults, seeds, ...shown) => {
    expect(await unseenOf(shown, faults, seeds)).toEqual([]);
  });

  it('lose runs to Spot that are on Spot, and no others', async () => {
    const lines = await linesOf({ seed: 1, seeds: 40, faults: 'spot,runner-crash' });
    const named = (words: RegExp) => lines.flatMap((line) => words.exec(line)?.[1] ?? []);
    const taken = named(/^spot capacity of (\S+) is taken back$/);
    expect(taken.length).toBeGreaterThan(5);
    const onSpot = new Set(named(/^ecs creates (\S+) .* on FARGATE_SPOT$/));
    expect(taken.filter((arn) => !onSpot.has(arn))).toEqual([]);
    expect(named(/^ecs creates (\S+) .* on FARGATE$/).length).toBeGreaterThan(5);
  });
});

describe('the sessions of simulated worlds', () => {
  it.each([
    ['session-again', 20, /^agentcore takes the invocation of \S+ again$/, /^runner \S+ exits (64|79)$/],
    ['no-capacity', 20, /^agentcore has no room for \S+$/, /^put TASK#\S+ BACKOFF v/],
    ['failing-start', 20, /^agentcore has \S+ up, and it does not answer$/, /throws: .* does not answer$/],
    ['ignores-stop', 20, /^\S+-1\/\d+ ignores the stop$/, /^wake-task\S+ says .*#RunOrphaned /],
    ['lives-on', 40, /^agentcore has \S+ no more, yet it lives on$/, /^announce-orphan\S+ says \S+#RunOrphaned$/],
    ['unknown-status', 60, /^agentcore has \S+-1\/\d+ up$/, /^start-run-on-agentcore\S+ says \S+#RunStopRequested$/],
    ['throttled-start', 20, /^stop-run-on-agentcore\S+ throws: .* Rate exceeded\.$/, /^agentcore stops \S+$/],
    ['cancel', 60, /^stop-run-on-agentcore\S+ throws: .* is being made$/, /^agentcore stops \S+$/],
  ])('show %s', async (faults, seeds, ...shown) => {
    expect(await unseenOf(shown, faults, seeds)).toEqual([]);
  });

  it('end tasks whose runners died or froze, and whose beats were lost, without any event of the back end', async () => {
    const results = await resultsOf({ seed: 1, seeds: 20, faults: 'silent-death,frozen-runner,lost-beats' });
    expect(results.flatMap(({ finding }) => (finding ? [told(finding)] : []))).toEqual([]);
    const lines = await linesOf({ seed: 1, seeds: 20, faults: 'silent-death' });
    expect(lines.filter((line) => /^wake-task\S+ says \S+#RunStopRequested$/.test(line)).length).toBeGreaterThan(5);
  });
});

describe('a world that hears nothing of its back end', () => {
  it(
    'ends every task all the same',
    async () => {
      const results = await resultsOf({ seed: 1, seeds: 20, faults: 'deaf' });
      const others = await resultsOf({
        seed: 1,
        seeds: 20,
        faults: 'deaf,crash,silent-death,runner-crash,ignores-stop',
      });
      expect([...results, ...others].flatMap(({ finding }) => (finding ? [told(finding)] : []))).toEqual([]);
      const ways = new Set(results.flatMap(({ ended }) => Object.keys(ended)));
      expect([...ways].filter((status) => !['COMPLETED', 'FAILED', 'TIMED_OUT', 'REJECTED'].includes(status))).toEqual(
        [],
      );
    },
    SLOW_MS,
  );
});

describe('one seed', () => {
  it('gives the same trace twice, byte for byte', async () => {
    const ask = () => simulator.ask({ worlds: { seed: 7, seeds: 1 }, traced: true });
    const [first, second] = [await ask(), await ask()];
    expect(first.lines?.length).toBeGreaterThan(100);
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
    await resultsOf({ seed: 3, seeds: 5, tasks: 1, faults: 'slow-agent' });
    const began = performance.now();
    const results = await resultsOf({ seed: 100, seeds: 20, tasks: 1, faults: 'slow-agent' });
    const hours = results.map(({ simulatedMs }) => simulatedMs / 3_600_000);
    const each = (performance.now() - began) / results.length;
    process.stdout.write(`simulated up to ${Math.max(...hours).toFixed(1)} h; ${each.toFixed(1)} ms for each world\n`);
    expect(Math.max(...hours)).toBeGreaterThan(7);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { besideJest } from './beside-jest.ts';

/** No test is timed: only one that hangs on a busy machine is ended, in milliseconds. */
const SLOW_MS = 400_000;

let simulator: ReturnType<typeof besideJest>;
beforeAll(() => {
  simulator = besideJest();
});
afterAll(() => simulator.close());

/** The lines of all traces, without their times; and whether any promise broke. */
async function seen(
  seeds: number,
  faults: string,
): Promise<{ lines: readonly string[]; findings: readonly unknown[] }> {
  const { lines = [], results = [] } = await simulator.ask({ worlds: { seed: 1, seeds, faults }, traced: true });
  return {
    lines: lines.map((line) => line.replace(/^\S+ +/, '')),
    findings: results.flatMap(({ finding }) => finding ?? []),
  };
}

describe('the fleets of simulated worlds', () => {
  it.each([
    {
      faults: 'late-command,lost-command,command-again,execution-time-out,unclean-host,late-handle',
      shown: [
        /^aws says c-\d+ Delayed$/,
        /^aws says c-\d+ Delivery ?Timed ?Out$/,
        /^host i-\w+ is given c-\d+ again$/,
        /^host i-\w+: the script of \S+ is killed$/,
        /^host i-\w+ run \S+ exits 90$/,
        /^host i-\w+ end \S+ exits 0$/,
        /^replace-worker\S+ takes WorkerQuarantined /,
      ],
    },
    {
      faults: 'host-death,boot-fails,scale-in,spot',
      shown: [
        /^i-\w+ is lost$/,
        /^i-\w+ is taken back$/,
        /^i-\w+ says WorkerBootFailed$/,
        /^nobody answers for i-\w+: launch$/,
        /^auto scaling takes i-\w+ away$/,
        /^i-\w+ goes on: terminate$/,
        /^stop-run-on-ec2\S+ says /,
        /^put WORKER#i-\w+ gone$/,
      ],
    },
  ])(
    'show $faults, and keep every promise',
    async ({ faults, shown }) => {
      const { lines, findings } = await seen(30, faults);
      expect(findings).toEqual([]);
      expect(shown.filter((words) => !lines.some((line) => words.test(line)))).toEqual([]);
    },
    SLOW_MS,
  );
});

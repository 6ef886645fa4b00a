import { spawnSync } from 'node:child_process';
import { describe, expect, it, jest } from '@jest/globals';

/** Starts the entry as `npm run synth` does. Milliseconds: the CDK takes seconds to load on a busy machine. */
const START_MAX_MS = 120_000;
jest.setTimeout(2 * START_MAX_MS);

const synth = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', 'infra/app.ts', ...args], {
    encoding: 'utf8',
    timeout: START_MAX_MS,
    env: { ...process.env, CDK_VALIDATION: 'false' },
  });

describe('npm run synth', () => {
  it.each([
    [['-c', 'stage=dev', '-c', 'computes=ecs', '-c', 'vpc=own'], 'computes has ecs, which needs agentImage as well.'],
    [['-c', 'stage'], '-c stage has no value: write -c name=value.'],
  ])('with %j says what is wrong, writes nothing, and fails', (args, complaint) => {
    const { status, stderr, stdout } = synth(...args);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain(complaint);
    // One line for a person, no trace.
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});

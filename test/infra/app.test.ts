import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { rules } from '../../rules/index.ts';

/** Starts the entry as `npm run synth` does. Milliseconds: the CDK takes seconds to load on a busy machine. */
const START_MAX_MS = 120_000;
jest.setTimeout(2 * START_MAX_MS);

const TSX = pathToFileURL(resolve('node_modules/tsx/dist/loader.mjs')).href;
const ENTRY = resolve('infra/app.ts');

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'baton-synth-'));
  for (const { name } of rules) {
    mkdirSync(join(cwd, 'dist/lambda', name), { recursive: true });
    writeFileSync(join(cwd, 'dist/lambda', name, 'index.mjs'), 'export const handler = () => {};\n');
  }
  mkdirSync(join(cwd, 'cdk.out'));
  writeFileSync(join(cwd, 'cdk.out/baton-earlier-state.template.json'), '{}');
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const synth = (...args: string[]) =>
  spawnSync(process.execPath, ['--import', TSX, ENTRY, ...args], {
    cwd,
    encoding: 'utf8',
    timeout: START_MAX_MS,
    env: { ...process.env, CDK_VALIDATION: 'false' },
  });

describe('npm run synth', () => {
  it.each([
    [['-c', 'stage=dev', '-c', 'computes=ecs', '-c', 'vpc=own'], 'computes has ecs, which needs agentImage.'],
    [['-c', 'stage'], '-c stage has no value: write -c name=value.'],
  ])('with %j says what is wrong, leaves no template, and fails', (args, complaint) => {
    const { status, stderr, stdout } = synth(...args);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain(complaint);
    // One line for a person, no trace.
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(join(cwd, 'cdk.out'))).toBe(false);
  });

  it('says in one line what it wrote, and leaves nothing of an earlier stage beside it', () => {
    const { status, stderr, stdout } = synth('-c', 'stage=dev');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toBe('synth: baton-dev-state, baton-dev-choreography, baton-dev-alarms in cdk.out\n');
    const templates = readdirSync(join(cwd, 'cdk.out')).filter((name) => name.endsWith('.template.json'));
    expect(templates).toEqual(['alarms', 'choreography', 'state'].map((stack) => `baton-dev-${stack}.template.json`));
  });
});

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { putAway, sceneFolder } from '../scene-folder.ts';

/** Workers are Linux machines. */
const hasFleet = process.platform === 'linux';

const root = join(import.meta.dirname, '../..');
const builder: { buildIfStale(): Promise<boolean> } = await import(join(root, 'scripts', 'build.mjs'));

let folder = '';
let code: number | null = null;
let stdout = '';
let stderr = '';

beforeAll(async () => {
  folder = sceneFolder();
  await builder.buildIfStale();
  await new Promise<void>((resolve) => {
    const child = execFile(
      process.execPath,
      [join(root, 'dist', 'demo.js')],
      { cwd: folder, env: { ...process.env, TMPDIR: folder }, timeout: 90_000 },
      (_error, out, err) => {
        [code, stdout, stderr] = [child.exitCode, out, err];
        resolve();
      },
    );
  });
}, 100_000);
afterAll(() => putAway(folder));

describe('the demonstration', () => {
  it('sees all tasks end and settle as they should, and says so by its exit code', () => {
    expect({ code, stderr, stdout }).toMatchObject({ code: 0, stderr: '' });
    expect(stdout.match(/^✓ .*/gm)).toHaveLength(hasFleet ? 6 : 5);
    expect(stdout).not.toContain('✗');
  });

  it('shows how each of them travels', () => {
    for (const name of ['greeting', 'licence', ...(hasFleet ? ['changelog'] : []), 'crash', 'endless']) {
      for (const status of ['SUBMITTED', 'STARTING', 'RUNNING']) {
        expect(stdout).toMatch(new RegExp(`^${name} .*\\+\\d.* ${status} `, 'm'));
      }
    }
  });

  it('ends with a table: compute, state, duration, hops, duplicates absorbed, branch, diff', () => {
    expect(stdout).toMatch(/^TASK +COMPUTE +STATE +DURATION +HOPS +DUPLICATES ABSORBED +BRANCH +DIFF$/m);
    expect(stdout).toMatch(/^greeting +ecs +COMPLETED +\d+\.\d+ s +\d+ +[1-9]\d* +baton\/t\w+ +2 files, \+3 −0$/m);
    expect(stdout).toMatch(/^licence +agentcore +COMPLETED +\d+\.\d+ s +\d+ +[1-9]\d* +baton\/t\w+ +1 file, \+1 −0$/m);
    if (hasFleet)
      expect(stdout).toMatch(/^changelog +ec2 +COMPLETED +\d+\.\d+ s +\d+ +[1-9]\d* +baton\/t\w+ +1 file, \+1 −0$/m);
    expect(stdout).toMatch(/^crash +ecs +FAILED +\d+\.\d+ s +\d+ +[1-9]\d* +- +-$/m);
    expect(stdout).toMatch(/^endless +ecs +CANCELLED +\d+\.\d+ s +\d+ +[1-9]\d* +baton\/t\w+ \(saved work\) +-$/m);
  });

  it('shows one on a fleet, or says why there is none here', () => {
    expect(stdout).toMatch(
      hasFleet
        ? /^✓ one completed on ec2, and its worker is proven clean and idle again \(i-[0-9a-f]{17}\)$/m
        : /^None runs on the third, ec2: the workers of a fleet need .*\.$/m,
    );
  });

  it('says that the agents are scripted, and how to use a real one', () => {
    expect(stdout).toContain('agents are scripted');
    expect(stdout).toContain('bin/baton run --repo . --prompt ');
  });

  it('is plain where nobody looks, and leaves nothing behind', () => {
    expect(stdout).not.toContain('\u001b');
    expect(readdirSync(folder)).toEqual([]);
  });
});

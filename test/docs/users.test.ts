import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type CliScene, openCliScene } from '../cli/scene.ts';
import { root } from './readme-blocks.ts';

const page = readFileSync(join(root, 'docs/users.md'), 'utf8');
/** What the page says to do on one machine. */
const block = /^## On one machine$[\s\S]*?^```sh\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? '';
const baton = join(root, 'bin/baton');

let scene: CliScene;
beforeAll(() => {
  scene = openCliScene();
});
afterAll(() => scene.close());

it('the commands of the page on isolated users do what it says', async () => {
  const sh = (text: string) =>
    spawnSync('/bin/sh', ['-ec', text.replaceAll('bin/baton', `'${baton}'`)], {
      cwd: scene.repo,
      encoding: 'utf8',
      timeout: 60_000,
    });
  const world = spawn('/bin/sh', ['-c', `exec '${baton}' dev --port 0`], {
    cwd: scene.repo,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(world.stdout, 'data');
    const [before = '', logs = ''] = block.split(/^(?=bin\/baton logs)/m);
    const done = sh(before);
    expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
    const taskId = done.stdout.trim().split('\n').at(-1) ?? '';
    expect(sh(`bin/baton watch ${taskId}`)).toMatchObject({ status: 0 });
    const [command = '', told = ''] = logs.trim().split(/ +# /);
    expect(sh(command.replace('<task>', taskId)).stdout).toContain(`${told}\n`);
    expect(scene.git('show', `baton/${taskId}:visits`).split('\n')).toHaveLength(1);
    expect(existsSync(join(scene.repo, '.baton/user-files/fsap-0000000a/visits'))).toBe(true);
    expect(sh(before.replace('--user ada', '--user eve')).stderr).toContain('says nothing of "eve"');
    const again = sh(before.slice(before.indexOf('bin/baton submit'))).stdout.trim();
    expect(sh(`bin/baton watch ${again}`)).toMatchObject({ status: 0 });
    expect(scene.git('show', `baton/${again}:visits`).split('\n')).toHaveLength(2);
  } finally {
    world.kill('SIGTERM');
    await once(world, 'exit');
  }
}, 90_000);

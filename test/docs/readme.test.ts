import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { CLI_EXIT } from '../../cli/exit-codes.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { readme, root, shellLines } from './readme-blocks.ts';

const baton = join(root, 'bin/baton');
const folders: string[] = [];

afterAll(async () => {
  for (const folder of folders) await putAway(folder);
});

describe('a command of the README', () => {
  it.each(shellLines.filter((line) => line.startsWith('npm ')))('is a script of the package: %s', (line) => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const name = /^npm (?:run )?([a-z]+)/.exec(line)?.[1] ?? '';
    expect(Object.keys(scripts)).toContain(name);
  });

  it('does what it says: an agent that is one shell command', () => {
    const line = shellLines.find((one) => one.includes('--agent')) ?? '';
    const repository = aRepository();
    const run = sh(repository, inPlace(line));
    expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: '' });
    const branch = git(repository, 'for-each-ref', '--format=%(refname:short)', 'refs/heads/baton');
    expect(branch).toMatch(/^baton\/t[0-9a-z]{24}$/);
    expect(git(repository, 'show', `${branch}:HELLO.md`)).toBe('Say hello');
  }, 90_000);
});

describe('the commands of the README for a world that keeps running', () => {
  it('work one after the other', async () => {
    const lines = shellLines.filter((line) => line.startsWith('bin/baton ') && !line.includes(' run '));
    const [dev = '', submit = '', ...others] = lines;
    const repository = aRepository();
    writeFileSync(join(repository, 'task.md'), 'Say hello');
    const world = spawn('/bin/sh', ['-c', `exec ${inPlace(dev).replace('4570', '0')}`], {
      cwd: repository,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [ready] = await once(world.stdout, 'data');
      expect(String(ready)).toMatch(/^ready http:\/\/127\.0\.0\.1:\d+\n/);
      const taskId = sh(repository, `${inPlace(submit)} --agent 'cat > HELLO.md'`).stdout.trim();
      const told = others.map((line) => {
        const { status, stdout, stderr } = sh(repository, inPlace(line).replace('<task>', taskId));
        return { command: line.split(' ')[1], status, output: `${stdout}${stderr}` };
      });
      expect(told).toEqual([
        { command: 'list', status: 0, output: expect.stringContaining(taskId.slice(0, 5)) },
        { command: 'show', status: 0, output: expect.stringContaining(taskId) },
        { command: 'watch', status: 0, output: expect.stringContaining('COMPLETED') },
        { command: 'logs', status: 0, output: expect.stringContaining('[baton]') },
        { command: 'cancel', status: expect.any(Number), output: expect.stringContaining('COMPLETED') },
        { command: 'explain', status: 0, output: expect.stringContaining('what comes next') },
        { command: 'workers', status: 0, output: expect.stringMatching(/^WORKER +FLEET |^No fleet has a worker /) },
        { command: 'repo', status: 0, output: expect.stringContaining('https://github.com/acme/*') },
        { command: 'repo', status: 0, output: expect.stringContaining('https://github.com/acme/*') },
      ]);
    } finally {
      world.kill('SIGTERM');
      await once(world, 'exit');
    }
    expect(world.exitCode).toBe(0);
  }, 90_000);
});

describe('the tables of the README', () => {
  it('name the exit codes of a run', () => {
    const told = [...readme.matchAll(/^\| (\d+) \| ([a-z ]+)/gm)].map(([, code]) => Number(code));
    const { completed, failed, badInput, cancelled, timedOut } = CLI_EXIT;
    expect(told).toEqual([completed, failed, badInput, cancelled, timedOut]);
  });

  it('name every room', () => {
    const told = [...readme.matchAll(/^\| `([a-z]+)\/` \|/gm)].map(([, room]) => room ?? '');
    const rooms = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .filter((name) => !['node_modules', 'dist', 'coverage', 'cdk.out', 'bin'].includes(name));
    expect([...told].sort()).toEqual(rooms.sort());
    for (const room of told) expect(existsSync(join(root, room))).toBe(true);
  });
});

function aRepository(): string {
  const folder = sceneFolder();
  folders.push(folder);
  git(folder, 'init', '--quiet', '--initial-branch=main');
  git(
    folder,
    '-c',
    'user.name=Ada',
    '-c',
    'user.email=ada@example.com',
    'commit',
    '--quiet',
    '--allow-empty',
    '-m',
    'First',
  );
  return folder;
}

const inPlace = (line: string): string => line.replace('bin/baton', `'${baton}'`);

const sh = (folder: string, line: string) =>
  spawnSync('/bin/sh', ['-c', line], { cwd: folder, encoding: 'utf8', timeout: 60_000 });

const git = (folder: string, ...words: string[]): string =>
  execFileSync('git', words, { cwd: folder, encoding: 'utf8' }).trim();

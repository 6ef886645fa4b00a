import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { repositoryNameFrom } from '../../cli/repo-options.ts';
import type { World } from '../../runtime/embedded-world.ts';
import { REPOSITORIES_KEY } from '../../runtime/records.ts';
import { openRepoScene, type RepoScene } from './repo-scene.ts';

let scene: RepoScene;
let world: World;
beforeAll(async () => {
  scene = await openRepoScene();
  world = scene.world;
});
afterAll(() => scene.close());

const TEAM = 'https://git.example/team/*';
const APP = 'https://git.example/team/app';

const found = (program: string): string =>
  execFileSync('/bin/sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();

const repo: RepoScene['ask'] = (...words) => scene.ask(...words);
const json: RepoScene['json'] = (...words) => scene.json(...words);

describe('baton repo set', () => {
  it('sets every field there is, and shows them by the names of the options', async () => {
    const { stdout, stderr } = await repo(
      ...['set', TEAM, '--compute', 'ecs', '--isolation', 'shared', '--fleet', 'builders', '--limit', '2'],
      ...['--agent', 'mine -p', '--timeout', '30m', '--first-output', '5m', '--attempts', '5', '--priority', '5'],
      ...['--retry-agent-failure', '--env', 'NPM_TOKEN=variable:NPM_TOKEN'],
      ...['--subscribe', 'webhook=https://example.com/hook'],
    );
    expect(stdout).toMatch(/^ {2}timeout +30 min 00 s$/m);
    expect(stdout).toMatch(/^ {2}env +NPM_TOKEN=variable:NPM_TOKEN$/m);
    expect(stderr).toMatch(/^baton: its tasks are refused: fleet: "ecs" has no fleets/);
    expect(await json('show', TEAM)).toMatchObject({
      name: TEAM,
      config: {
        compute: 'ecs',
        isolation: 'shared',
        fleet: 'builders',
        limit: 2,
        priority: 5,
        agentCommand: 'mine -p',
        timeoutSeconds: 1800,
        firstOutputSeconds: 300,
        attempts: 5,
        retryAgentFailure: true,
        environment: { NPM_TOKEN: 'variable:NPM_TOKEN' },
        subscribers: [{ channel: 'webhook', target: 'https://example.com/hook' }],
      },
      warning: expect.stringContaining('no fleets'),
    });
  });

  it('changes what is given, adds to what has many, takes away what is unset, and leaves the rest', async () => {
    await json('set', APP, '--limit', '2', '--priority', '5', '--env', 'A=variable:A', '--attempts', '2');
    const words = ['--limit', '3', '--env', 'B=variable:B', '--no-retry-agent-failure', '--unset', 'priority'];
    expect((await json('set', APP, ...words)).config).toEqual({
      limit: 3,
      attempts: 2,
      retryAgentFailure: false,
      environment: { A: 'variable:A', B: 'variable:B' },
    });
    expect((await json('set', APP, '--unset', 'env', '--env', 'C=variable:C')).config.environment).toEqual({
      C: 'variable:C',
    });
    for (const hook of ['one', 'two', 'one'])
      await json('set', APP, '--subscribe', `webhook=https://example.com/${hook}`);
    expect((await json('show', APP)).config.subscribers).toHaveLength(2);
  });

  it('takes a whole configuration from a file', async () => {
    const file = join(scene.folder, 'whole.json');
    writeFileSync(file, JSON.stringify({ limit: 7 }));
    await json('set', APP, '--attempts', '2');
    expect((await json('set', APP, '--from', file)).config).toEqual({ limit: 7 });
  });

  it.each([
    [['--limit', 'many'], /--limit: "many" is no whole number/],
    [['--limit', '0'], /--limit: Too small/],
    [
      ['--fleet', 'Bad Name!'],
      /--fleet: "Bad Name!" is no name of a fleet: 1 to 32 small letters, digits and "-", a letter first$/,
    ],
    [['--timeout', '30'], /--timeout: "30" is not a duration/],
    [['--timeout', '9h'], /--timeout: at most 8 h 00 min/],
    [['--compute', 'moon'], /Allowed choices are agentcore, ecs/],
    [['--env', 'TOKEN'], /--env: "TOKEN" is no reference/],
    [['--env', 'TOKEN=hunter2'], /--env: TOKEN: is no reference: write variable:/],
    [['--subscribe', 'https://example.com'], /--subscribe: .*begins with none of webhook=/],
    [
      ['--env', 'AWS_REGION=variable:A'],
      /--env: AWS_REGION: is no variable that may be set .*none of BATON_, AWS_, ECS_/,
    ],
    [['--limit', '0', '--first-output', '1s'], /--limit: Too small.*; --first-output: at least /],
    [['--subscribe', 'pigeon=https://example.com'], /--subscribe: .*begins with none of webhook=/],
    [['--unset', 'limt'], /--unset: "limt" is no field/],
    [[], /repo set: nothing is to be set/],
    [['--from', 'nothing.json'], /--from: .*nothing\.json does not exist/],
    [['--from', 'broken.json'], /--from: .*broken\.json is not JSON/],
    [['--from', 'odd.json'], /Unrecognized key: "limt"/],
    [['--from', 'odd.json', '--limit', '2'], /--from: it excludes/],
  ])('refuses %j, names what is wrong, and stores nothing', async (words, says) => {
    writeFileSync(join(scene.folder, 'broken.json'), '{');
    writeFileSync(join(scene.folder, 'odd.json'), '{"limt": 2}');
    const placed = words.map((word) => (word.endsWith('.json') ? join(scene.folder, word) : word));
    await expect(repo('set', '/srv/bad', ...placed)).rejects.toThrow(says);
    await expect(repo('show', '/srv/bad')).rejects.toMatchObject({ code: 'unknown_repository' });
  });

  it('refuses a name that no task can have', async () => {
    await expect(repo('set', 'team/app', '--limit', '2')).rejects.toThrow(/is neither an absolute path nor an address/);
  });
});

describe('what is configured', () => {
  it('is shown for an address, with the name under which it stands', async () => {
    await json('set', TEAM, '--limit', '2');
    const { stdout } = await repo('show', 'https://git.example/team/other');
    expect(stdout).toMatch(/^holds for https:\/\/git\.example\/team\/other:\nhttps:\/\/git\.example\/team\/\*$/m);
  });

  it('is listed, and gone when it is removed', async () => {
    await json('set', TEAM, '--limit', '2');
    expect((await repo('list')).stdout).toMatch(/^https:\/\/git\.example\/team\/\* +.*limit 2/m);
    expect((await repo('remove', TEAM)).stdout).toBe(`removed ${TEAM}\n`);
    expect((await json('list')).map(({ name }: { name: string }) => name)).not.toContain(TEAM);
    await expect(repo('show', 'https://git.example/team/other')).rejects.toThrow(/No configuration holds for/);
    await expect(repo('remove', TEAM)).rejects.toMatchObject({ code: 'unknown_repository' });
  });
});

describe('a repository of this machine', () => {
  it('is known by its path, however it is given', () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'baton-name-')));
    mkdirSync(join(folder, 'repo'));
    symlinkSync('repo', join(folder, 'link'));
    const named = (given: string, elsewhere = false) => repositoryNameFrom(given, { cwd: folder, elsewhere });
    expect(['repo', './repo/', 'link', join(folder, 'repo')].map((given) => named(given))).toEqual(
      Array.from({ length: 4 }, () => join(folder, 'repo')),
    );
    expect(named('./*')).toBe(join(folder, '*'));
    expect(named(APP)).toBe(APP);
    expect(named('repo', true)).toBe('repo');
    rmSync(folder, { recursive: true });
  });

  it('gives its tasks their agent; only where it names none is the default one needed', async () => {
    const bin = join(scene.folder, 'bin');
    mkdirSync(bin);
    symlinkSync(process.execPath, join(bin, 'node'));
    for (const program of ['git', 'sh']) symlinkSync(found(program), join(bin, program));
    const words = ['submit', '--repo', 'repo', '--prompt', 'do it', '--endpoint', world.url, '--json'];
    const wishes = ['--priority', '3', '--retry-agent-failure'];
    const without = await scene.run([...words, ...wishes], { environment: { PATH: bin } });
    expect(without.code).toBe(2);
    expect(without.stderr).toMatch(/--agent: The default agent command is/);
    await json('set', scene.repo, '--agent', 'echo mine > mine.txt');
    const { code, stdout, stderr } = await scene.run([...words, ...wishes], { environment: { PATH: bin } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const task = await world.engine.ports.tasks.get(JSON.parse(stdout).taskId);
    expect(task).toMatchObject({
      agentCommand: 'echo mine > mine.txt',
      configuration: scene.repo,
      priority: 3,
      retryAgentFailure: true,
    });
  });
});

// F25
describe('a configuration that another version of Baton set', () => {
  const name = '/srv/newer';
  const saysWhy = /unreadable, its tasks are refused: config\.subscribers\.0\.channel: .*another version/;

  /** Puts one into the record as that version would. */
  async function isSet(): Promise<void> {
    const stored = await world.engine.store.get(REPOSITORIES_KEY);
    const { entries = [] } = (stored?.value ?? {}) as { entries?: readonly { name: string }[] };
    const config = { limit: 3, subscribers: [{ channel: 'email', target: 'ada@example.com' }] };
    const entry = { name, config, setAt: '2026-01-01T00:00:00.000Z', setBy: 'newer' };
    await world.engine.store.put(
      REPOSITORIES_KEY,
      { entries: [...entries.filter((one) => one.name !== name), entry] },
      'any',
    );
  }

  it('is listed and shown as unreadable, beside the others', async () => {
    await repo('set', TEAM, '--limit', '2');
    await isSet();
    expect((await repo('list')).stdout).toMatch(saysWhy);
    expect((await repo('list')).stdout).toContain(TEAM);
    expect((await repo('show', name)).stdout).toMatch(saysWhy);
    expect(await json('show', name)).toMatchObject({ config: { limit: 3 }, unreadable: expect.any(String) });
  });

  it('is replaced whole, by nothing less', async () => {
    await isSet();
    await expect(repo('set', name, '--limit', '2')).rejects.toMatchObject({
      remedy: expect.stringContaining('--from'),
    });
    const file = join(scene.folder, 'whole.json');
    writeFileSync(file, JSON.stringify({ limit: 4 }));
    await repo('set', name, '--from', file);
    expect(await json('show', name)).toMatchObject({ config: { limit: 4 } });
  });

  it('is removed', async () => {
    await isSet();
    expect(await json('remove', `${name}.git`)).toEqual({ name, entry: null });
  });
});

describe('the same on AWS', () => {
  it('goes over the bus and is read from the table', async () => {
    const environment = {
      AWS_ENDPOINT_URL: world.url,
      AWS_REGION: 'local',
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
    };
    const aws = async (...words: string[]) => {
      const { code, stdout, stderr } = await scene.run(['repo', ...words, '--aws', '--json'], { environment });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return JSON.parse(stdout);
    };
    expect(await aws('set', '/srv/aws', '--limit', '4')).toMatchObject({ name: '/srv/aws', config: { limit: 4 } });
    expect(await aws('list')).toContainEqual(expect.objectContaining({ name: '/srv/aws' }));
    expect(await aws('remove', '/srv/aws')).toEqual({ name: '/srv/aws', entry: null });
  });
});

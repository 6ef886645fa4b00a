import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openRepoScene, type RepoScene } from './repo-scene.ts';

let scene: RepoScene;
beforeAll(async () => {
  scene = await openRepoScene();
});
afterAll(() => scene.close());
const repo: RepoScene['ask'] = (...words) => scene.ask(...words);
const json: RepoScene['json'] = (...words) => scene.json(...words);

const NPM = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:npm-AbCdEf';
const KEY = 'arn:aws:ssm:us-east-1:123456789012:parameter/ada/key';
const ADA = `ada=2048/4096, fs-0123abcd/fsap-0123abcd, NPM_TOKEN=${NPM}, KEY=${KEY}`;
const ofAda = {
  size: { cpu: 2048, memory: 4096 },
  fileSystem: { id: 'fs-0123abcd', accessPoint: 'fsap-0123abcd' },
  secrets: { NPM_TOKEN: NPM, KEY },
};

describe('users who are isolated', () => {
  it('are given one by one, each with size, files and secrets or with nothing, and shown as they are given', async () => {
    const { stdout, stderr } = await repo(
      ...['set', '/srv/one', '--isolation', 'per-user', '--user', ADA, '--user', '*'],
      ...['--capacity', 'spot-first'],
    );
    expect(stderr).toBe('');
    expect(stdout).toContain(`users               ${ADA}\n`);
    expect(stdout).toMatch(/^ {2}users {15}\*$/m);
    expect(stdout).toMatch(/^ {2}capacity {12}spot-first$/m);
    expect((await json('show', '/srv/one')).config).toEqual({
      isolation: 'per-user',
      capacity: 'spot-first',
      users: { ada: ofAda, '*': {} },
    });
    expect((await repo('list')).stdout).toMatch(/users ×2, capacity spot-first/);
  });

  it('are changed whole, one beside the others, and taken away one by one or all', async () => {
    await repo('set', '/srv/two', '--isolation', 'per-user', '--user', ADA);
    await repo('set', '/srv/two', '--user', 'bob=1024/2048');
    await repo('set', '/srv/two', '--user', 'ada=256/512');
    expect((await json('show', '/srv/two')).config.users).toEqual({
      ada: { size: { cpu: 256, memory: 512 } },
      bob: { size: { cpu: 1024, memory: 2048 } },
    });
    await repo('set', '/srv/two', '--unset', 'users.ada', '--user', 'eve.of=');
    await repo('set', '/srv/two', '--unset', 'users.eve.of');
    expect(Object.keys((await json('show', '/srv/two')).config.users)).toEqual(['bob']);
    expect((await repo('set', '/srv/two', '--unset', 'users.bob')).stdout).toMatch(/^ {2}users +nobody$/m);
    await repo('set', '/srv/two', '--unset', 'users', '--unset', 'isolation', '--limit', '2');
    expect((await json('show', '/srv/two')).config).toEqual({ limit: 2 });
  });

  it('have others refused by name of the configuration, which is what must be changed', async () => {
    await repo('set', scene.repo, '--isolation', 'per-user', '--user', 'ada');
    const words = ['submit', '--repo', 'repo', '--prompt', 'do it', '--agent', 'true', '--endpoint', scene.world.url];
    const { code, stderr } = await scene.run(words);
    expect(code).toBe(2);
    expect(stderr).toContain(`the configuration "${scene.repo}" isolates users`);
    expect(stderr).toContain(`\n       See what it says with \`baton repo show "${scene.repo}"\`, change it with`);
    expect(stderr).not.toContain('Correct the request');
  });

  it('are all taken from a file, which replaces those that are there', async () => {
    const file = join(scene.folder, 'users.json');
    writeFileSync(file, JSON.stringify({ ada: ofAda }));
    await repo('set', '/srv/three', '--isolation', 'per-user', '--user', 'bob');
    await repo('set', '/srv/three', '--users', file, '--user', 'eve');
    expect((await json('show', '/srv/three')).config.users).toEqual({ ada: ofAda, eve: {} });
  });

  it.each([
    [['--isolation', 'per-user'], /^--users: is missing: where isolation is per-user, it says what each user gets/],
    [['--user', 'ada'], /^--users: says what each user gets, which counts only where isolation is per-user: set that/],
    [['--user', ''], /^--user: it begins with no user$/],
    [['--user', '=2048/4096'], /^--user: it begins with no user$/],
    [['--user', 'ada 2048/4096'], /^--user: it must begin with a user without space/],
    [['--user', 'bob:256/512'], /^--user: it must begin with a user without space/],
    [['--user', 'ada, bob'], /^--user: it must begin with a user without space/],
    [['--user', '2048/4096, fs-0123abcd/fsap-0123abcd'], /^--user: it must begin with a user without space/],
    [['--user', 'ada=2048/4096,4096/8192'], /^--user: two sizes are given$/],
    [['--user', `ada=KEY=${KEY},KEY=${KEY}`], /^--user: KEY is given twice$/],
    [['--user', 'ada=big'], /^--user: of "ada" a part is neither a size, nor a file system, nor a variable$/],
    [['--user', 'ada=3/4'], /^--users: ada\.size: Fargate has no such cpu; it has 256, /],
    [['--user', 'ada=fs-0123abcd/ada'], /^--users: ada\.fileSystem\.accessPoint: is no id of an EFS access point/],
    [['--user', 'ada=NPM_TOKEN=hunter2'], /^--users: ada\.secrets\.NPM_TOKEN: is no ARN of a secret/],
    [['--user', `ada=AWS_KEY=${KEY}`], /^--users: ada\.secrets\.AWS_KEY: is no variable that may be set/],
    [['--users', 'none.json'], /^--users: .*none\.json does not exist$/],
    [['--users', 'list.json'], /^--users: Invalid input: expected record, received array$/],
    [['--unset', 'users.bob'], /^--unset: the configuration names no user "bob"$/],
    [['--capacity', 'cheap'], /Allowed choices are on-demand, spot, spot-first/],
  ])('are refused by name for %j, without a word of what was given for a secret', async (words, says) => {
    writeFileSync(join(scene.folder, 'list.json'), '[]');
    const isolated = words[0] === '--isolation' || words[1] === 'ada' ? [] : ['--isolation', 'per-user'];
    const placed = words.map((word) => (word.endsWith('.json') ? join(scene.folder, word) : word));
    const refusal = await repo('set', '/srv/bad', ...isolated, ...placed).catch((error: Error) => error);
    expect(refusal).toMatchObject({ message: expect.stringMatching(says) });
    expect(JSON.stringify(refusal, Object.getOwnPropertyNames(refusal))).not.toContain('hunter2');
    await expect(repo('show', '/srv/bad')).rejects.toMatchObject({ code: 'unknown_repository' });
  });
});

describe('a task for a user', () => {
  it('is asked for by --user; who is not named is refused, with what to do', async () => {
    await repo('set', scene.repo, '--isolation', 'per-user', '--user', 'ada');
    const submit = (...words: string[]) =>
      scene.run([
        'submit',
        '--repo',
        'repo',
        '--prompt',
        'x',
        '--agent',
        'true',
        '--endpoint',
        scene.world.url,
        ...words,
      ]);
    const refused = await submit('--user', 'eve');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('says nothing of "eve"; name them under "users", or everybody by "*"');
    expect((await submit()).stderr).toContain('says nothing of "local"');
    expect((await submit('--user', '')).stderr).toMatch(/^baton: --user: /);
    const { code, stdout } = await submit('--user', 'ada');
    expect(code).toBe(0);
    const shown = await scene.run(['show', stdout.trim(), '--endpoint', scene.world.url]);
    expect(shown.stdout).toMatch(/^ {2}user {8}ada$/m);
  });
});

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CliScene, openCliScene } from './scene.ts';

let scene: CliScene;
let before: string[] = [];

beforeAll(() => {
  scene = openCliScene();
  const { folder } = scene;
  execFileSync('git', ['init', '--quiet', '--initial-branch=main', join(folder, 'empty')]);
  mkdirSync(join(folder, 'plain'));
  mkdirSync(join(scene.repo, 'inside'));
  writeFileSync(join(folder, 'file.txt'), 'text');
  writeFileSync(join(folder, 'blank.md'), ' \n');
  writeFileSync(join(folder, 'large.md'), 'x'.repeat(64 * 1024 + 1));
  writeFileSync(join(folder, 'binary.md'), Buffer.from([0xff, 0xfe, 0xfd]));
  mkdirSync(join(folder, 'bin'));
  for (const program of ['git', 'sh', 'node']) symlinkSync(found(program), join(folder, 'bin', program));
  before = readdirSync(folder).sort();
});
afterAll(() => scene.close());

const found = (program: string): string =>
  program === 'node'
    ? process.execPath
    : execFileSync('/bin/sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();

const REPO = ['--repo', 'repo'];
const PROMPT = ['--prompt', 'do it'];
const AGENT = ['--agent', 'true'];

/** What is given, where and what is wrong with it, what to do. */
const TABLE: readonly (readonly [string, readonly string[], RegExp, RegExp])[] = [
  ['no repository', [...PROMPT, ...AGENT], /required option '--repo <path\|url>' not specified/, /--help/],
  ['no prompt', [...REPO, ...AGENT], /required option '--prompt <text\|@file>' not specified/, /--help/],
  ['an unknown option', [...REPO, ...PROMPT, '--bse', 'x'], /unknown option '--bse'/, /Did you mean --base\?/],
  ['an empty prompt', [...REPO, ...AGENT, '--prompt', ' '], /--prompt: it is empty/, /Say what the agent shall do/],
  ['a blank prompt file', [...REPO, ...AGENT, '--prompt', '@blank.md'], /--prompt: it is empty/, /Say what/],
  [
    'an oversized prompt',
    [...REPO, ...AGENT, '--prompt', '@large.md'],
    /--prompt: .*large.md has 65537 bytes; at most 65536/,
    /into the repository/,
  ],
  [
    'a context that is no issue',
    [...REPO, ...PROMPT, '--agent', 'sh', '--context', 'https://example.com/issues/1'],
    /--context: is no address of a GitHub issue or pull request/,
    /Correct --context/,
  ],
  ['a missing prompt file', [...REPO, ...AGENT, '--prompt', '@no.md'], /--prompt: .*\/no.md does not exist/, /after @/],
  [
    'a prompt that is no text',
    [...REPO, ...AGENT, '--prompt', '@binary.md'],
    /binary.md is not UTF-8 text/,
    /text file/,
  ],
  [
    'a repository that does not exist',
    [...PROMPT, ...AGENT, '--repo', 'nowhere'],
    /--repo: .*\/nowhere does not exist/,
    /git repository/,
  ],
  [
    'a folder that is no repository',
    [...PROMPT, ...AGENT, '--repo', 'plain'],
    /--repo: .*\/plain is not a git repository/,
    /git init/,
  ],
  [
    'a file as repository',
    [...PROMPT, ...AGENT, '--repo', 'file.txt'],
    /--repo: .*file.txt is not a directory/,
    /directory/,
  ],
  [
    'a folder inside a repository',
    [...PROMPT, ...AGENT, '--repo', 'repo/inside'],
    /is a folder inside the repository/,
    /--repo '.*\/repo'/,
  ],
  [
    'a repository without commits',
    [...PROMPT, ...AGENT, '--repo', 'empty'],
    /--repo: .*\/empty has no commits/,
    /Commit something/,
  ],
  [
    'a base branch that does not exist',
    [...REPO, ...PROMPT, ...AGENT, '--base', 'dev'],
    /--base: .* has no branch "dev"/,
    /such as main/,
  ],
  [
    'an agent that does not exist',
    [...REPO, ...PROMPT, '--agent', 'no-such-agent -p'],
    /--agent: .*"no-such-agent" was not found/,
    /PATH/,
  ],
  ['an empty agent', [...REPO, ...PROMPT, '--agent', ''], /--agent: The agent command is empty/, /--agent/],
  [
    'no agent where none is installed',
    [...REPO, ...PROMPT],
    /--agent: The default agent command is "claude -p"/,
    /Install Claude Code/,
  ],
  [
    'a time-out without unit',
    [...REPO, ...PROMPT, ...AGENT, '--timeout', '30'],
    /--timeout: "30" is not a duration/,
    /90s, 30m, 2h/,
  ],
  [
    'a time-out of nothing',
    [...REPO, ...PROMPT, ...AGENT, '--timeout', '0s'],
    /--timeout: "0s" is out of range/,
    /at least 1s/,
  ],
  [
    'a time-out without end',
    [...REPO, ...PROMPT, ...AGENT, '--timeout', '9h'],
    /--timeout: "9h" is out of range/,
    /at most 8h/,
  ],
  [
    'a label without a value',
    [...REPO, ...PROMPT, ...AGENT, '--label', 'team'],
    /--label: "team" is no label/,
    /--label team=core/,
  ],
  [
    'an unknown back end',
    [...REPO, ...PROMPT, ...AGENT, '--compute', 'moon'],
    /'moon' is invalid. Allowed choices are agentcore, ecs, ec2/,
    /--help/,
  ],
];

describe('bad input of `baton run`', () => {
  it.each(TABLE)(
    '%s: exit 2, what and where, and what to do, before anything starts',
    async (_what, words, says, remedy) => {
      const environment = { PATH: join(scene.folder, 'bin') };
      const { code, stdout, stderr } = await scene.run(['run', ...words], { environment });
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(says);
      expect(stderr).toMatch(remedy);
      expect(stderr).not.toMatch(/^ +at /m);
      expect(readdirSync(scene.folder).sort()).toEqual(before);
    },
  );

  it('is the same for `baton submit`', async () => {
    const { code, stderr } = await scene.run(['submit', ...PROMPT, ...AGENT, '--repo', 'empty']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('has no commits') });
  });

  it('is one line of JSON on standard error for those who asked for JSON', async () => {
    const { code, stdout, stderr } = await scene.run(['submit', ...PROMPT, ...AGENT, '--repo', 'empty', '--json']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'bad_input',
        message: expect.stringContaining('has no commits'),
        remedy: expect.stringMatching(/^Commit/),
      },
    });
  });

  it.each([
    [['submit', ...REPO], /^required option '--prompt <text\|@file>' not specified$/],
    [['list', '--bse'], /^unknown option '--bse'/],
    [['lst'], /^unknown command 'lst'\n\(Did you mean list\?\)$/],
    [[], /^unknown option '--json'$/],
  ])('is JSON too where the words themselves are wrong: %j', async (words, says) => {
    const { code, stdout, stderr } = await scene.run([...words, '--json']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.match(/\n/g)).toHaveLength(1);
    const error = {
      code: 'bad_input',
      message: expect.stringMatching(says),
      remedy: expect.stringContaining('--help'),
    };
    expect(JSON.parse(stderr)).toEqual({ error });
  });

  it.each([
    [['--repo', 'repo', '--aws'], /--repo: .* is on this machine/],
    [['--repo', 'repo', '--stage', 'dev'], /--repo: .* is on this machine/],
    [['--repo', 'https://git.example/a.git', '--stage', 'No Stage'], /--stage: "No Stage" is no stage/],
    [['--repo', 'https://git.example/a.git', '--aws', '--data', 'x'], /--aws: it excludes/],
    [['--repo', 'https://git.example/a.git', '--aws', 'dev'], /too many arguments/],
  ])('is found before a deployment is asked: %j', async (words, says) => {
    const { code, stderr } = await scene.run(['submit', ...PROMPT, ...words]);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
  });

  it('shows the stack to those who ask for it', async () => {
    const words = ['run', ...PROMPT, ...AGENT, '--repo', 'empty'];
    const { stderr } = await scene.run(words, { environment: { BATON_DEBUG: '1' } });
    expect(stderr).toMatch(/^ +at /m);
  });
});

describe('a data directory that cannot be used', () => {
  it('is told when it is a file', async () => {
    const { code, stderr } = await scene.run(['run', ...REPO, ...PROMPT, ...AGENT, '--data', 'file.txt']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/file.txt is not a directory\n {7}Choose another/);
  });

  it('is told when it cannot be made', async () => {
    const { code, stderr } = await scene.run(['dev', '--data', '/proc/baton', '--port', '0']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/\/proc\/baton cannot be written \(\w+\)\n {7}Make the data directory writable/);
  });

  it('is told when its store is damaged, and nothing of it is changed', async () => {
    mkdirSync(join(scene.folder, 'damaged'));
    writeFileSync(join(scene.folder, 'damaged', 'baton.db'), 'this is not a database, and never was one'.repeat(200));
    const { code, stderr } = await scene.run(['run', ...REPO, ...PROMPT, ...AGENT, '--data', 'damaged']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/baton: .*damaged\/baton.db.*\n {7}Move the data directory away/);
  });
});

describe('the version', () => {
  it('is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await scene.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('help', () => {
  const commands = ['run', 'dev', 'submit', 'list', 'show', 'watch', 'logs', 'cancel', 'repo', 'simulate', 'doctor'];

  it('lists every command', async () => {
    const { code, stdout } = await scene.run(['--help']);
    expect(code).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  it.each(commands)('of %s has examples', async (command) => {
    const { code, stdout, stderr } = await scene.run([command, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/Examples:\n {2}baton /);
  });

  it('is pointed to when the command is unknown', async () => {
    const { code, stderr } = await scene.run(['lst']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/unknown command 'lst'/);
    expect(stderr).toContain('Did you mean list?');
  });
});

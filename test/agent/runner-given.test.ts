import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { LINE_MAX_BYTES, RETRY_AFTER_DEFAULT_S } from '../../agent/limits.ts';
import { referredVariables } from '../../agent/referred-variables.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { BRANCH, openScene, RUN_TOKEN, type Scene, until } from './scene.ts';

let scene: Scene;
afterEach(() => scene.close());

const withScene = async (payload: Partial<RunPayload> = {}): Promise<Scene> => {
  scene = await openScene(payload);
  return scene;
};

/** What the run said, in order: the text, and whether the runner itself says it. */
const said = () =>
  scene.api
    .of('events')
    .filter(({ body }) => body['type'] === 'RunProgressed')
    .map(({ body }) => body['data'] as { text: string; by?: 'runner' });

// F20
describe('an agent that a service asked to wait', () => {
  it('says so by exit code 75 and for how long by its file; its work is saved, and the report asks for the pause', async () => {
    await withScene({
      agentCommand: 'echo half > half.txt; echo 429 >&2; echo 90 > "$BATON_RETRY_AFTER_FILE"; exit 75',
    });
    const { code } = await scene.run();
    expect(code).toBe(RUNNER_EXIT.agentFailed);
    expect(scene.report()).toMatchObject({
      outcome: 'failed',
      reason: { code: 'rate_limited', message: 'A service asked the agent to wait 90 s. Last output: 429' },
      retryAfterSeconds: 90,
      savedWork: { branch: BRANCH, commit: scene.head(BRANCH) },
      agentExitCode: 75,
    });
    expect(scene.inRemote('show', `${BRANCH}:half.txt`)).toBe('half\n');
    // The file is no part of the work, and gone with the run.
    expect(scene.inRemote('ls-tree', '--name-only', BRANCH)).toBe('README.md\nhalf.txt\n');
    expect(existsSync(join(scene.runDir, 'retry-after'))).toBe(false);
  });

  it('waits the usual time where it does not say for how long', async () => {
    await withScene({ agentCommand: 'exit 75' });
    await scene.run();
    expect(scene.report()).toMatchObject({
      reason: { code: 'rate_limited' },
      retryAfterSeconds: RETRY_AFTER_DEFAULT_S,
    });
    expect(scene.report().savedWork).toBeUndefined();
  });

  it('fails like any other by another exit code, whatever it wrote', async () => {
    await withScene({ agentCommand: 'echo 90 > "$BATON_RETRY_AFTER_FILE"; exit 1' });
    await scene.run();
    expect(scene.report()).toMatchObject({ reason: { code: 'agent_failed' } });
    expect(scene.report().retryAfterSeconds).toBeUndefined();
  });
});

describe('variables that the configuration of a repository refers to', () => {
  it('get their values where the runner runs, and go to the agent alone', async () => {
    await withScene({
      environment: { REGISTRY_TOKEN: 'variable:NPM_READ_TOKEN', CI: 'variable:CI_FLAG' },
      agentCommand: 'echo "$REGISTRY_TOKEN $CI $NPM_READ_TOKEN" > given.txt',
    });
    const tools = join(scene.folder, 'tools');
    const seen = join(scene.folder, 'seen-by-git');
    mkdirSync(tools);
    const { PATH = '' } = process.env;
    writeFileSync(join(tools, 'git'), `#!/bin/sh\nenv >> ${seen}\nPATH=${PATH} exec git "$@"\n`);
    chmodSync(join(tools, 'git'), 0o755);
    const { code, output } = await scene.run({
      PATH: `${tools}${delimiter}${PATH}`,
      NPM_READ_TOKEN: 'read-me-not',
      CI_FLAG: '',
    });
    expect(code).toBe(0);
    expect(scene.inRemote('show', `${BRANCH}:given.txt`)).toBe('read-me-not  \n');
    expect(readFileSync(seen, 'utf8')).toContain('GIT_CEILING_DIRECTORIES');
    expect(readFileSync(seen, 'utf8')).not.toContain('read-me-not');
    expect(output + JSON.stringify(scene.api.calls)).not.toContain('read-me-not');
  });

  it('are masked in all that the agent prints: in the log, in progress and in the reason', async () => {
    const values = { TOKEN: 'hunter2hunter3', LONGER: 'hunter2hunter3-and-more', KEY: 'first-line\nsecond-line' };
    await withScene({
      environment: { TOKEN: 'variable:TOKEN', LONGER: 'variable:LONGER', KEY: 'variable:KEY' },
      agentCommand: [
        `head -c ${LINE_MAX_BYTES - 5} /dev/zero | tr '\\0' x`,
        'echo "$TOKEN"',
        'echo "one $LONGER" >&2',
        'sleep 0.2',
        'echo "$KEY"',
        'exit 1',
      ].join('; '),
    });
    const { code, output } = await scene.run(values);
    expect(code).toBe(RUNNER_EXIT.agentFailed);
    expect(output).toMatch(/x\*\*\*\n/);
    expect(output).toContain('one ***\n');
    expect(output).toContain('***\n***\n');
    expect(scene.report().reason?.message).toMatch(/Last output: .* \/ \*\*\* \/ \*\*\*$/);
    expect(said().map(({ text }) => text)).toContain('***');
    const told = output + JSON.stringify(scene.api.calls) + JSON.stringify(scene.reportFile());
    for (const piece of ['hunte', 'and-more', 'first-line', 'second-line']) expect(told).not.toContain(piece);
  });

  it('that are not set fail the run before anything is cloned, by name and never by value', async () => {
    await withScene({
      environment: { ONE: 'variable:IS_SET', TWO: 'variable:IS_MISSING', THREE: 'variable:IS_MISSING_TOO' },
    });
    const { code, output } = await scene.run({ IS_SET: 'secret-value' });
    expect(code).toBe(RUNNER_EXIT.agentFailed);
    expect(scene.report()).toMatchObject({
      outcome: 'failed',
      agentExitCode: null,
      reason: {
        code: 'environment_missing',
        message: 'Not set where the runner runs: TWO (from variable:IS_MISSING), THREE (from variable:IS_MISSING_TOO).',
      },
    });
    expect(output + JSON.stringify(scene.api.calls)).not.toContain('secret-value');
    expect(existsSync(join(scene.runDir, 'workspace'))).toBe(false);
  });

  it.each(['AWS_SECRET_ACCESS_KEY', 'ECS_AGENT_URI', 'BATON_PAYLOAD_SECRET'])(
    'are never %s: a payload that refers to it is refused, and what reads references does not read it either',
    async (name) => {
      const environment = { KEY: `variable:${name}` };
      await withScene({ environment });
      expect(await scene.run({ [name]: 'out-of-reach' })).toMatchObject({ code: RUNNER_EXIT.badPayload });
      expect(scene.api.of('claim')).toEqual([]);
      expect(referredVariables(environment, { [name]: 'out-of-reach' })).toEqual({
        variables: {},
        missing: [`KEY (from variable:${name})`],
      });
    },
  );
});

describe('text that was fetched for a task', () => {
  const context = { source: 'https://github.com/acme/shop/issues/7', text: 'It breaks.\nAlways.\n' };

  it('comes behind the prompt on standard input, and alone in a file of its own', async () => {
    await withScene({
      context,
      prompt: 'Mend it.',
      agentCommand: 'cat > input.txt; cp "$BATON_CONTEXT_FILE" context.txt; cp "$BATON_PROMPT_FILE" prompt.txt',
    });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.inRemote('show', `${BRANCH}:input.txt`)).toBe(
      'Mend it.\n\nFrom https://github.com/acme/shop/issues/7:\n\nIt breaks.\nAlways.\n',
    );
    expect(scene.inRemote('show', `${BRANCH}:context.txt`)).toBe(context.text);
    expect(scene.inRemote('show', `${BRANCH}:prompt.txt`)).toBe('Mend it.');
    expect(existsSync(join(scene.runDir, 'context.txt'))).toBe(false);
  });

  it('of a megabyte arrives whole', async () => {
    const text = 'x'.repeat(1_048_576);
    await withScene({ context: { ...context, text }, agentCommand: 'wc -c < "$BATON_CONTEXT_FILE" | tr -d " " > n' });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.inRemote('show', `${BRANCH}:n`)).toBe('1048576\n');
  });

  it('where there is none, there is no file', async () => {
    await withScene({ agentCommand: 'echo "${BATON_CONTEXT_FILE-none}" > context.txt' });
    await scene.run();
    expect(scene.inRemote('show', `${BRANCH}:context.txt`)).toBe('none\n');
  });
});

// F21
describe("the agent's first word", () => {
  it('is told at once although the runner has just spoken, and is not taken for the runner', async () => {
    await withScene({ agentCommand: `echo hello; while [ ! -e "$HOME/go" ]; do sleep 0.05; done` });
    const launched = scene.start();
    await until('the first word is told', () => said().some(({ by }) => by === undefined));
    writeFileSync(join(scene.folder, 'home', 'go'), '');
    await launched.ended;
    const words = said();
    expect(words.filter(({ by }) => by === 'runner').map(({ text }) => text)).toEqual([
      expect.stringContaining('cloning'),
    ]);
    expect(words.find(({ by }) => by === undefined)?.text).toBe('hello');
  });

  it('is told again until it is taken', async () => {
    await withScene({ agentCommand: `echo hello; while [ ! -e "$HOME/go" ]; do sleep 0.05; done` });
    scene.api.answer('events', { status: 403, body: { error: { code: 'no', message: 'no', remedy: '' } } }, 3);
    const launched = scene.start();
    await until('the first word is told twice', () => said().filter(({ text }) => text === 'hello').length >= 2);
    writeFileSync(join(scene.folder, 'home', 'go'), '');
    await launched.ended;
  });

  const no = (status: number) => ({ status, body: { error: { code: 'no', message: 'no', remedy: '' } } });

  it('is left in the record once, whatever becomes of the events, and again until it is taken', async () => {
    await withScene({ agentCommand: `echo; echo hello; echo more; while [ ! -e "$HOME/go" ]; do sleep 0.05; done` });
    scene.api.answer('events', no(403));
    scene.api.answer('first-word', no(503), 2);
    const launched = scene.start();
    await until('the first word is left', () => scene.api.of('first-word').length >= 3);
    writeFileSync(join(scene.folder, 'home', 'go'), '');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(scene.api.of('first-word')).toHaveLength(3);
    expect(scene.api.of('first-word').at(-1)).toMatchObject({
      token: RUN_TOKEN,
      body: { nativeId: expect.any(String) },
    });
  });

  it('is not left by the words of the runner, nor by an agent that says nothing', async () => {
    await withScene({ agentCommand: 'echo; echo x > x' });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(said()).not.toEqual([]);
    expect(scene.api.of('first-word')).toEqual([]);
  });

  it.each([404, 503])('that nobody takes (%d) fails no run', async (status) => {
    await withScene({ agentCommand: 'echo hello; sleep 0.3' });
    scene.api.answer('first-word', no(status));
    expect(await scene.run({ BATON_RETRY_S: '1' })).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(scene.api.of('first-word')).not.toEqual([]);
    expect(scene.report()).toMatchObject({ outcome: 'succeeded' });
  });
});

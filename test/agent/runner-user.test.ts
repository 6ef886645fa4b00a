import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { givenVariables } from '../../agent/referred-variables.ts';
import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import { cloneFor } from '../../lifecycle/user-definition.ts';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { BRANCH, openScene, type Scene } from './scene.ts';

let scene: Scene;
afterEach(() => scene?.close());

const withScene = async (payload: Partial<RunPayload> = {}): Promise<Scene> => {
  scene = await openScene(payload);
  return scene;
};

const SECRET = 'canary-of-ada-4711';
const ARN = 'arn:aws:secretsmanager:us-east-1:000000000000:secret:npm-AbCdEf';

/** What ECS would put into the container of a clone for a user with these secrets and files. */
function containerOf(secrets: Readonly<Record<string, string>>): Record<string, string> {
  const base = {
    arn: 'base:1',
    family: 'base',
    tags: {},
    definition: { containerDefinitions: [{ name: AGENT_CONTAINER, environment: [] }] },
  };
  const references = Object.fromEntries(Object.keys(secrets).map((name) => [name, ARN]));
  const terms = { secrets: references, fileSystem: { id: 'fs-0123abcd', accessPoint: 'fsap-0123abcd' } };
  const clone = cloneFor(base, { userId: 'ada', terms, fingerprint: 'f' });
  const [container] = (clone?.definition['containerDefinitions'] ?? []) as readonly {
    readonly environment: readonly { readonly name: string; readonly value: string }[];
  }[];
  const told = Object.fromEntries((container?.environment ?? []).map(({ name, value }) => [name, value]));
  return { ...told, ...secrets };
}

/** A git that writes down its environment before it does what it is told. */
function withSpyGit() {
  const tools = join(scene.folder, 'tools');
  const seen = join(scene.folder, 'seen-by-git');
  mkdirSync(tools);
  const { PATH = '' } = process.env;
  writeFileSync(join(tools, 'git'), `#!/bin/sh\nenv >> ${seen}\nPATH=${PATH} exec git "$@"\n`);
  chmodSync(join(tools, 'git'), 0o755);
  return { environment: { PATH: `${tools}${delimiter}${PATH}` }, byGit: () => readFileSync(seen, 'utf8') };
}

describe('the run of a user', () => {
  it("hands the user's secrets and files to the agent, under their names", async () => {
    await withScene({
      agentCommand: 'echo "$NPM_TOKEN $EMPTY. $BATON_USER_FILES" > given.txt; env | grep -c ^BATON_USER >> given.txt',
    });
    expect(await scene.run(containerOf({ NPM_TOKEN: SECRET, EMPTY: '' }))).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(scene.inRemote('show', `${BRANCH}:given.txt`)).toBe(`${SECRET} . /mnt/user\n1\n`);
  });

  it('leaves no trace of a secret in log, progress, report, events or git, whatever the agent prints', async () => {
    await withScene({
      agentCommand:
        'echo "$NPM_TOKEN"; echo "{\\"key\\":\\"$NPM_TOKEN\\"}" >&2; sleep 0.2; env; echo "$NPM_TOKEN"; exit 1',
    });
    const seen = withSpyGit();
    const { code, output } = await scene.run({ ...containerOf({ NPM_TOKEN: SECRET }), ...seen.environment });
    expect(code).toBe(RUNNER_EXIT.agentFailed);
    expect(output).toContain('NPM_TOKEN=***\n');
    expect(output).toContain('{"key":"***"}\n');
    expect(scene.report().reason?.message).toContain('***');
    const told = [output, JSON.stringify(scene.api.calls), JSON.stringify(scene.reportFile()), seen.byGit()];
    for (const text of told) expect(text).not.toContain('canary');
    expect(seen.byGit()).toContain('GIT_CEILING_DIRECTORIES');
    expect(seen.byGit()).not.toContain('BATON_USER');
  });

  it('lets git have a token of the user by a name that is handed on to git, and masks that too', async () => {
    await withScene({ agentCommand: 'echo "it is $CLAUDE_GIT_TOKEN"' });
    const seen = withSpyGit();
    const { output } = await scene.run({ ...containerOf({ CLAUDE_GIT_TOKEN: SECRET }), ...seen.environment });
    expect(seen.byGit()).toContain(`CLAUDE_GIT_TOKEN=${SECRET}\n`);
    expect(output).toContain('it is ***\n');
    expect(output + JSON.stringify(scene.api.calls)).not.toContain('canary');
  });

  it('fails before anything is cloned when a secret has no value, by its name', async () => {
    await withScene({ environment: { CI: 'variable:CI_FLAG' } });
    const { code, output } = await scene.run({ BATON_USER_SECRETS: 'NPM_TOKEN,GIVEN', GIVEN: SECRET });
    expect(code).toBe(RUNNER_EXIT.agentFailed);
    expect(scene.report()).toMatchObject({
      outcome: 'failed',
      agentExitCode: null,
      reason: {
        code: 'environment_missing',
        message: 'Not set where the runner runs: CI (from variable:CI_FLAG), NPM_TOKEN (a secret of the user).',
      },
    });
    expect(output + JSON.stringify(scene.api.calls)).not.toContain('canary');
    expect(existsSync(join(scene.runDir, 'workspace'))).toBe(false);
  });

  it("has the user's variable where the repository refers to one of the same name", async () => {
    await withScene({
      environment: { TOKEN: 'variable:OF_ALL', OTHER: 'variable:OF_ALL' },
      agentCommand: 'echo "$TOKEN $OTHER" > given.txt',
    });
    const given = { OF_ALL: 'of-everybody', ...containerOf({ TOKEN: SECRET }) };
    expect(await scene.run(given)).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(scene.inRemote('show', `${BRANCH}:given.txt`)).toBe(`${SECRET} of-everybody\n`);
  });
});

describe('the run of a shared task', () => {
  it('has nothing of any user, whatever stands in the environment of its runner', async () => {
    await withScene({ agentCommand: 'echo "${NPM_TOKEN-none} ${BATON_USER_FILES-none}" > given.txt' });
    expect(await scene.run({ NPM_TOKEN: SECRET })).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(scene.inRemote('show', `${BRANCH}:given.txt`)).toBe('none none\n');
  });
});

it.each(['AWS_SECRET_ACCESS_KEY', 'ECS_AGENT_URI', 'BATON_PAYLOAD_SECRET'])(
  '%s is never taken for a secret of a user',
  (name) => {
    expect(givenVariables(undefined, { BATON_USER_SECRETS: name, [name]: 'out-of-reach' })).toMatchObject({
      variables: {},
      missing: [`${name} (a secret of the user)`],
    });
  },
);

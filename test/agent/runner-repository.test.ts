import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { BRANCH, git, openScene, type Scene, until } from './scene.ts';

let scene: Scene;
afterEach(() => scene.close());

const withScene = async (payload: Partial<RunPayload> = {}): Promise<Scene> => {
  scene = await openScene(payload);
  return scene;
};

describe('a repository that cannot be cloned', () => {
  it.each([
    '--upload-pack=touch /tmp/hacked',
    'ext::sh -c touch% /tmp/hacked',
    'fd::17',
    'ssh://-oProxyCommand=touch/x',
    'somewhere/relative',
    '/no/such/repository',
    '/etc',
    `file:///no/such/repository`,
  ])('%s fails with clone_failed before the agent starts', async (repository) => {
    await withScene({ repository });
    const { code, output } = await scene.run();
    expect(code).toBe(RUNNER_EXIT.repositoryFailed);
    expect(scene.report()).toMatchObject({ outcome: 'failed', agentExitCode: null, reason: { code: 'clone_failed' } });
    expect(output).not.toContain('running the agent');
  });

  it('is named without the password in its URL', async () => {
    await withScene({ repository: 'http://user:pass-word@127.0.0.1:9/none.git' });
    const { output } = await scene.run();
    expect(scene.report().reason?.message).toContain('***@127.0.0.1');
    expect(output + JSON.stringify(scene.api.calls.filter((call) => call.verb !== 'payload'))).not.toContain(
      'pass-word',
    );
  });

  it('without commits says so', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'baton-empty-'));
    git(empty, 'init', '--quiet', '--bare');
    await withScene({ repository: empty });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.repositoryFailed });
    expect(scene.report().reason).toMatchObject({
      code: 'clone_failed',
      message: expect.stringContaining('no commits'),
    });
    rmSync(empty, { recursive: true });
  });

  it('without the base branch says which one is missing', async () => {
    await withScene({ baseBranch: 'release/*' });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.repositoryFailed });
    expect(scene.report().reason).toMatchObject({
      code: 'base_branch_missing',
      message: expect.stringContaining('release/*'),
    });
  });
});

describe('a work tree as the repository', () => {
  it('gets the branch and keeps its own files and HEAD as they are', async () => {
    await withScene();
    const tree = join(scene.folder, 'my tree');
    git(scene.folder, 'clone', '--quiet', scene.remote, tree);
    writeFileSync(join(tree, 'uncommitted.txt'), 'mine');
    const owner = scene;
    scene = await openScene({ repository: tree });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(git(tree, 'show', `${BRANCH}:greeting.txt`)).toBe('hello\n');
    expect(git(tree, 'status', '--porcelain', '--branch')).toContain('?? uncommitted.txt');
    expect(git(tree, 'rev-parse', '--abbrev-ref', 'HEAD')).toBe('main\n');
    await owner.close();
  });
});

describe('a branch that somebody else moves during the run', () => {
  it('is not overwritten; the report says what happened', async () => {
    await withScene({ agentCommand: 'echo mine > mine.txt; until [ -e "$HOME/go" ]; do sleep 0.05; done' });
    const launched = scene.start();
    await until('the agent runs', () => launched.output().includes('running the agent'));
    const theirs = scene.commitToRemote(BRANCH, 'theirs.txt', 'theirs');
    writeFileSync(join(scene.folder, 'home', 'go'), '');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.repositoryFailed });
    expect(scene.head(BRANCH)).toBe(theirs);
    expect(scene.report().reason).toMatchObject({
      code: 'push_failed',
      message: expect.stringContaining('Somebody else moved'),
    });
  });

  it('may be the base branch: that does not concern the push', async () => {
    await withScene({ agentCommand: 'echo mine > mine.txt; until [ -e "$HOME/go" ]; do sleep 0.05; done' });
    const launched = scene.start();
    await until('the agent runs', () => launched.output().includes('running the agent'));
    const before = scene.head('main');
    scene.commitToRemote('main', 'theirs.txt', 'theirs');
    writeFileSync(join(scene.folder, 'home', 'go'), '');
    expect(await launched.ended).toMatchObject({ code: 0 });
    expect(scene.report().result.baseCommit).toBe(before);
  });
});

describe('a remote that refuses the push', () => {
  it('fails the run with what the remote said', async () => {
    await withScene();
    writeFileSync(join(scene.remote, 'hooks', 'pre-receive'), '#!/bin/sh\necho not on my watch >&2\nexit 1\n', {
      mode: 0o755,
    });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.repositoryFailed });
    expect(scene.report().reason).toMatchObject({
      code: 'push_failed',
      message: expect.stringContaining('not on my watch'),
    });
  });
});

describe('a second attempt', () => {
  it('continues from the saved work of the first', async () => {
    await withScene();
    const commit = scene.commitToRemote(BRANCH, 'first.txt', 'from attempt 1');
    const { remote } = scene;
    const first = scene;
    scene = await openScene({
      repository: remote,
      attempt: 2,
      savedWork: { branch: BRANCH, commit },
      agentCommand: 'cat first.txt > second.txt',
    });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(git(remote, 'show', `${BRANCH}:second.txt`)).toBe('from attempt 1');
    expect(git(remote, 'rev-parse', `${BRANCH}~1`).trim()).toBe(commit);
    await first.close();
  });

  it('that adds nothing still hands over the saved work as its result', async () => {
    await withScene();
    const base = scene.head('main');
    scene.inRemote('branch', BRANCH, 'main');
    const commit = scene.commitToRemote(BRANCH, 'first.txt', 'from attempt 1');
    const first = scene;
    scene = await openScene({ repository: first.remote, attempt: 2, agentCommand: 'true' });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.report().result).toMatchObject({ branch: BRANCH, commit, baseCommit: base, filesChanged: 1 });
    await first.close();
  });

  // F16
  it('says so and starts from the base when the saved work is gone', async () => {
    const savedWork = { branch: BRANCH, commit: 'a'.repeat(40) };
    await withScene({ attempt: 2, savedWork });
    const { code, output } = await scene.run();
    expect(code).toBe(0);
    expect(output).toContain('was not found; starting from the base');
    expect(scene.report().result).toMatchObject({ branch: BRANCH, lostWork: savedWork });
  });

  it('fetches the saved work by its name when somebody deleted the branch', async () => {
    await withScene();
    const commit = scene.commitToRemote(BRANCH, 'first.txt', 'from attempt 1');
    scene.inRemote('branch', '-D', BRANCH);
    const first = scene;
    scene = await openScene({
      // Over the protocol: a clone of a path would bring every object.
      repository: `file://${first.remote}`,
      attempt: 2,
      savedWork: { branch: BRANCH, commit },
      agentCommand: 'cp first.txt second.txt',
    });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(git(first.remote, 'rev-parse', `${BRANCH}~1`).trim()).toBe(commit);
    expect(scene.report().result.lostWork).toBeUndefined();
    await first.close();
  });

  it('never overwrites a branch that somebody rewrote meanwhile: it goes on from what is there, and says what is lost', async () => {
    await withScene();
    const savedWork = { branch: BRANCH, commit: scene.commitToRemote(BRANCH, 'first.txt', 'from attempt 1') };
    scene.inRemote('branch', '--force', BRANCH, 'main');
    const theirs = scene.commitToRemote(BRANCH, 'theirs.txt', 'by a person');
    const first = scene;
    scene = await openScene({ repository: first.remote, attempt: 2, savedWork });
    const { code, output } = await scene.run();
    expect(code).toBe(0);
    expect(output).toContain('no longer holds the saved work');
    expect(git(first.remote, 'rev-parse', `${BRANCH}~1`).trim()).toBe(theirs);
    expect(scene.report().result).toMatchObject({ lostWork: savedWork });
    await first.close();
  });
});

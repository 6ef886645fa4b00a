import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { BRANCH, git, isAlive, openScene, type Scene, until } from './scene.ts';

let scene: Scene;
afterEach(() => scene.close());

const withScene = async (payload: Partial<RunPayload> = {}): Promise<Scene> => {
  scene = await openScene(payload);
  git(scene.folder, 'init', '--quiet', '--bare', 'elsewhere.git');
  return scene;
};

/** For the agent: $REMOTE is the address it was cloned from, $ELSEWHERE another repository, $RAN a file that its programs make. */
const NAMES =
  'REMOTE=$(git config remote.origin.url); ELSEWHERE=$HOME/../elsewhere.git; RAN=$HOME/ran; echo "exit \\$(touch $RAN)" > $HOME/evil; chmod +x $HOME/evil; echo x > x; ';

describe('an agent that rewrites how git works in its clone', () => {
  it.each([
    ['sends pushes elsewhere', 'git config "url.$ELSEWHERE.pushInsteadOf" "$REMOTE"'],
    ['sends everything elsewhere', 'git config "url.$ELSEWHERE.insteadOf" "$REMOTE"'],
    [
      'does so for its work tree',
      'git config extensions.worktreeConfig true; git config --worktree "url.$ELSEWHERE.pushInsteadOf" "$REMOTE"',
    ],
    [
      'takes its settings from another repository',
      'git clone -q --bare "$REMOTE" $HOME/other.git; git -C $HOME/other.git config "url.$ELSEWHERE.pushInsteadOf" "$REMOTE"; echo $HOME/other.git > .git/commondir',
    ],
    ['makes the run directory a repository', 'git init -q ..; git -C .. config "url.$ELSEWHERE.insteadOf" "$REMOTE"'],
    [
      'puts a link in the place of its settings',
      'cp .git/config ../c; git config -f ../c "url.$ELSEWHERE.pushInsteadOf" "$REMOTE"; ln -sf ../../c .git/config',
    ],
    ['filters what is added', 'git config filter.evil.clean "$HOME/evil; cat"; echo "* filter=evil" > .gitattributes'],
    [
      'filters what is added, for this clone only',
      'git config filter.evil.clean "$HOME/evil; cat"; echo "* filter=evil" > .git/info/attributes',
    ],
    [
      'plants hooks',
      'git config core.hooksPath .git/hooks; cp $HOME/evil .git/hooks/pre-push; cp $HOME/evil .git/hooks/post-index-change',
    ],
    ['plants a monitor', 'git config core.fsmonitor $HOME/evil'],
  ])('and %s neither redirects the push nor runs a program in it', async (_, agentCommand) => {
    await withScene({ agentCommand: NAMES + agentCommand });
    const { code, output } = await scene.run();
    expect(git(join(scene.folder, 'elsewhere.git'), 'for-each-ref')).toBe('');
    expect(existsSync(join(scene.folder, 'home', 'ran'))).toBe(false);
    expect({ code, output }).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(scene.report().result.commit).toBe(scene.head(BRANCH));
    expect(scene.inRemote('show', `${BRANCH}:x`)).toBe('x\n');
    expect(existsSync(join(scene.runDir, 'push.git'))).toBe(false);
  });

  it('does not get a file outside the clone overwritten by a link in its place', async () => {
    await withScene({ agentCommand: 'echo mine > $HOME/victim; ln -sf $HOME/victim .git/config; echo x > x' });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(readFileSync(join(scene.folder, 'home', 'victim'), 'utf8')).toBe('mine\n');
  });

  it('fails the push when it swaps the repository of its clone', async () => {
    await withScene({
      agentCommand: `${NAMES} git clone -q --bare "$REMOTE" $HOME/other.git; rm -rf .git; echo "gitdir: $HOME/other.git" > .git`,
    });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.repositoryFailed });
    expect(scene.report().reason?.code).toBe('push_failed');
    expect(scene.head(BRANCH)).toBeUndefined();
  });
});

describe('a remote that takes a push and does not keep it', () => {
  it('fails the run: the branch is looked at afterwards', async () => {
    await withScene();
    writeFileSync(join(scene.remote, 'hooks', 'post-receive'), `#!/bin/sh\ngit update-ref -d refs/heads/${BRANCH}\n`, {
      mode: 0o755,
    });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.repositoryFailed });
    expect(scene.report().reason).toMatchObject({
      code: 'push_failed',
      message: expect.stringContaining('the remote does not have it'),
    });
  });
});

describe('a repository without its whole history', () => {
  it('gets the branch like any other', async () => {
    await withScene();
    scene.commitToRemote('main', 'second.txt', 'second');
    scene.commitToRemote('main', 'third.txt', 'third');
    const shallow = join(scene.folder, 'it is: shallow.git');
    git(scene.folder, 'clone', '--quiet', '--bare', '--depth=2', `file://${scene.remote}`, shallow);
    const owner = scene;
    scene = await openScene({ repository: shallow });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(git(shallow, 'rev-list', '--count', BRANCH).trim()).toBe('3');
    await owner.close();
  });
});

describe('an agent that hides a process from its environment and its group', () => {
  const hidden = (place: string): string =>
    `cp "$(command -v sleep)" ./own-sleep; (cd ${place}; env -i setsid "$OLDPWD"/own-sleep 300 > /dev/null 2>&1 & echo $! > $HOME/pid); sleep 0.3; echo x > x`;

  it.each([
    [
      'works in the clone',
      'cd "$PWD"; env -i setsid sleep 300 > /dev/null 2>&1 & echo $! > $HOME/pid; sleep 0.3; echo x > x',
    ],
    ['was started from the clone', hidden('/')],
  ])('has none left when the work is pushed, if it %s', async (_, agentCommand) => {
    if (process.platform !== 'linux') return;
    await withScene({ agentCommand });
    expect(await scene.run()).toMatchObject({ code: RUNNER_EXIT.ok });
    expect(isAlive(Number(readFileSync(join(scene.folder, 'home', 'pid'), 'utf8')))).toBe(false);
  });

  it('does not take along somebody who stands in the clone', async () => {
    if (process.platform !== 'linux') return;
    // A person's shell: of a session from before the run.
    const person = spawn('/bin/sh', ['-c', 'read -r folder; cd "$folder"; exec sleep 300'], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    await withScene({ agentCommand: 'echo x > x; sleep 1' });
    const launched = scene.start();
    try {
      await until('the agent runs', () => launched.output().includes('running the agent'));
      person.stdin.end(`${join(scene.runDir, 'workspace')}\n`);
      expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.ok });
      expect(isAlive(person.pid ?? 0)).toBe(true);
    } finally {
      person.kill('SIGKILL');
    }
  });
});

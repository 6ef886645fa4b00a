import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { written } from '../written.ts';
import { FENCED } from './api-stub.ts';
import { BRANCH, isAlive, openScene, type Scene, until } from './scene.ts';

let scene: Scene;
afterEach(() => scene.close());

const inWorkspace = (file: string): string => join(scene.runDir, 'workspace', file);

describe('SIGTERM while the agent works', () => {
  it('stops the agent, pushes what is there, says it and reports nothing', async () => {
    scene = await openScene({ agentCommand: 'echo half > half.txt; echo $$ > pid.txt; sleep 300' });
    const launched = scene.start();
    await until('the agent runs', () => written(inWorkspace('pid.txt')) !== undefined);
    const pid = Number(readFileSync(inWorkspace('pid.txt'), 'utf8'));
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    expect(isAlive(pid)).toBe(false);
    expect(scene.inRemote('show', `${BRANCH}:half.txt`)).toBe('half\n');
    expect(scene.api.of('saved-work').map((call) => call.body['savedWork'])).toEqual([
      { branch: BRANCH, commit: scene.head(BRANCH) },
    ]);
    expect(scene.api.calls.map((call) => call.verb).filter((verb) => verb !== 'events')).toEqual([
      'payload',
      'claim',
      'confirm',
      'saved-work',
    ]);
    expect(scene.reportFile()).toBeUndefined();
  });

  it('lets an agent finish its words and its files', async () => {
    scene = await openScene({
      agentCommand: 'trap "echo tidied > tidy.txt; exit 0" TERM; echo up > up.txt; while :; do sleep 0.1; done',
    });
    const launched = scene.start();
    await until('the agent runs', () => written(inWorkspace('up.txt')) !== undefined);
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    expect(scene.inRemote('show', `${BRANCH}:tidy.txt`)).toBe('tidied\n');
  });

  it('kills an agent that ignores it, and still saves the work in time', async () => {
    scene = await openScene({
      agentCommand: 'trap "" TERM; echo $$ > pid.txt; echo stubborn > s.txt; while :; do sleep 0.2; done',
    });
    const launched = scene.start({ BATON_STOP_TIMEOUT_S: '8' });
    await until('the agent runs', () => written(inWorkspace('s.txt')) !== undefined);
    const begun = performance.now();
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    expect(performance.now() - begun).toBeLessThan(8_000);
    expect(scene.inRemote('show', `${BRANCH}:s.txt`)).toBe('stubborn\n');
  });

  it('pushes nothing once the run is fenced', async () => {
    scene = await openScene({ agentCommand: 'echo half > half.txt; sleep 300' });
    scene.api.answer('confirm', FENCED);
    const launched = scene.start();
    await until('the agent runs', () => written(inWorkspace('half.txt')) !== undefined);
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.fenced });
    expect(scene.head(BRANCH)).toBeUndefined();
  });

  it('saves work although the agent was interrupted inside a git command', async () => {
    scene = await openScene({
      agentCommand: 'echo half > half.txt; touch .git/index.lock; echo up; sleep 300',
    });
    const launched = scene.start();
    await until('the agent runs', () => launched.output().includes('up\n'));
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    expect(scene.head(BRANCH)).toBeDefined();
  });

  it('keeps to its time when the control plane is away', async () => {
    scene = await openScene({ agentCommand: 'echo half > half.txt; sleep 300' });
    const launched = scene.start({ BATON_STOP_TIMEOUT_S: '5' });
    await until('the agent runs', () => written(inWorkspace('half.txt')) !== undefined);
    await scene.api.goAway();
    const begun = performance.now();
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(scene.head(BRANCH)).toBeUndefined();
  });
});

describe('SIGTERM at other times', () => {
  it('before the control plane answers ends the run at once', async () => {
    scene = await openScene();
    scene.api.answer('payload', { status: 503, body: { error: { code: 'busy', message: 'later', remedy: '' } } });
    const launched = scene.start();
    await until('it asks', () => scene.api.of('payload').length > 0);
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
  });

  it('during the clone gives the clone up and leaves no process', async () => {
    scene = await openScene({ repository: 'ssh://nowhere.invalid/repository.git' });
    const pidFile = join(scene.folder, 'ssh.pid');
    // Like ssh, it ends when its input does.
    const slow = join(scene.folder, 'slow-ssh');
    writeFileSync(slow, `#!/bin/sh\necho $$ > '${pidFile}'\nexec cat > /dev/null\n`, { mode: 0o755 });
    const launched = scene.start({ GIT_SSH_COMMAND: slow, BATON_STOP_TIMEOUT_S: '8' });
    await until('git waits', () => written(pidFile) !== undefined);
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.stopped });
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await until('ssh is gone', () => !isAlive(pid));
    expect(scene.api.of('report')).toHaveLength(0);
  });

  it('while the report is under way still stores it', async () => {
    scene = await openScene();
    scene.api.answer('report', { status: 503, body: { error: { code: 'busy', message: 'later', remedy: '' } } }, 4);
    const launched = scene.start();
    await until('it reports', () => scene.api.of('report').length > 1);
    launched.kill('SIGTERM');
    expect(await launched.ended).toMatchObject({ code: 0 });
    expect(scene.report().outcome).toBe('succeeded');
  });
});

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RUNNER_EXIT } from '../../schemas/exit-codes.ts';
import { BRANCH, openScene, type Scene, until } from './scene.ts';

let scene: Scene;
afterEach(() => scene.close());

const WAITING = 'echo mine > mine.txt; until [ -e "$HOME/go" ]; do sleep 0.05; done';
const letGo = (): void => writeFileSync(join(scene.folder, 'home', 'go'), '');

describe('a control plane that is away', () => {
  it('when the run starts is waited for', async () => {
    scene = await openScene();
    await scene.api.goAway();
    const launched = scene.start();
    await sleep(700);
    await scene.api.comeBack();
    expect(await launched.ended).toMatchObject({ code: 0 });
    expect(scene.api.of('claim')).toHaveLength(1);
  });

  it('while the agent works, and comes back on another port, misses nothing that counts', async () => {
    scene = await openScene({ agentCommand: WAITING });
    const launched = scene.start();
    await until('the agent runs', () => launched.output().includes('running the agent'));
    await scene.api.goAway();
    letGo();
    await sleep(700);
    expect(scene.head(BRANCH)).toBeUndefined();
    await scene.api.comeBack();
    expect(await launched.ended).toMatchObject({ code: 0 });
    expect(scene.api.of('confirm')).toHaveLength(1);
    expect(scene.report().outcome).toBe('succeeded');
    expect(scene.api.of('events').at(-1)?.body['type']).toBe('RunReported');
  });

  it('for good leaves the report in its file and ends as unavailable', async () => {
    scene = await openScene({ agentCommand: 'until [ -e "$HOME/go" ]; do sleep 0.05; done' });
    const launched = scene.start({ BATON_RETRY_S: '1' });
    await until('the agent runs', () => launched.output().includes('running the agent'));
    await scene.api.goAway();
    letGo();
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.unavailable });
    expect(scene.reportFile()).toMatchObject({ outcome: 'succeeded', result: { branch: null } });
  });

  it('for good pushes nothing without leave, and keeps the work in the workspace', async () => {
    scene = await openScene({ agentCommand: WAITING });
    const launched = scene.start({ BATON_RETRY_S: '1' });
    await until('the agent runs', () => launched.output().includes('running the agent'));
    await scene.api.goAway();
    letGo();
    expect(await launched.ended).toMatchObject({ code: RUNNER_EXIT.unavailable });
    expect(scene.head(BRANCH)).toBeUndefined();
    expect(scene.reportFile()).toMatchObject({ outcome: 'failed', reason: { code: 'push_failed' } });
    expect(existsSync(join(scene.runDir, 'workspace', 'mine.txt'))).toBe(true);
  });

  it('before the claim for good ends as unavailable without cloning', async () => {
    scene = await openScene();
    await scene.api.goAway();
    const { code, output } = await scene.run({ BATON_RETRY_S: '1' });
    expect(code).toBe(RUNNER_EXIT.unavailable);
    expect(output).not.toContain('cloning');
  });
});

describe('a control plane that stumbles', () => {
  it('is asked again after errors of its own and answers of strangers', async () => {
    scene = await openScene();
    scene.api.answer('payload', { status: 404, body: 'who are you?' }, 1);
    scene.api.answer('claim', { status: 500, body: { error: { code: 'internal', message: 'oops', remedy: '' } } }, 2);
    scene.api.answer('confirm', { status: 503, body: { error: { code: 'busy', message: 'oops', remedy: '' } } }, 1);
    scene.api.answer('report', { status: 429, body: { error: { code: 'slow', message: 'oops', remedy: '' } } }, 3);
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.api.of('claim')).toHaveLength(3);
    expect(scene.api.of('report')).toHaveLength(4);
  });

  it('only over events does not hold the run up', async () => {
    scene = await openScene();
    scene.api.answer('events', { status: 403, body: { error: { code: 'no', message: 'no', remedy: '' } } });
    expect(await scene.run()).toMatchObject({ code: 0 });
    expect(scene.report().outcome).toBe('succeeded');
  });
});

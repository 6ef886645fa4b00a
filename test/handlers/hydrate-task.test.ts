import { describe, expect, it } from '@jest/globals';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { hydrateTask } from '../../handlers/hydrate-task.ts';
import { runPayload } from '../../schemas/run-payload.ts';
import { PROMPT_MAX_BYTES } from '../../schemas/task-request.ts';
import { aRequest, aTask, aTaskId, at } from '../builders.ts';
import { aScene, latestEvent, typesOf } from './scene.ts';

async function sceneOfAnAdmitted(
  prompt = 'Mend the roof.',
  fields: Partial<ReturnType<typeof aTask<'ADMITTED'>>> = {},
) {
  const scene = aScene();
  const promptRef = await scene.payloads.put(aTaskId(), prompt);
  const task = await scene.has(aTask({ status: 'ADMITTED', promptRef, ...fields }));
  return { scene, task, event: latestEvent(task) };
}

describe('an admitted task', () => {
  it('has all that its run needs stored under one reference', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    expect(typesOf(await scene.deliver(hydrateTask, event))).toEqual(['TaskHydrated']);
    const task = await scene.task();
    if (task?.status !== 'HYDRATED') throw new Error('expected a hydrated task');
    const payload = runPayload.parse(JSON.parse((await scene.payloads.get(task.input)) ?? ''));
    expect(payload).toEqual({
      schemaVersion: 1,
      taskId: aTaskId(),
      attempt: 1,
      runToken: expect.any(String),
      repository: '/srv/repository',
      branch: `baton/${aTaskId()}`,
      prompt: 'Mend the roof.',
      agentCommand: 'agent',
      deadlineAt: at(3600),
    });
    expect(await scene.runs.isToken(aTaskId(), 1, payload.runToken)).toBe(true);
  });

  it('has nothing prepared before its request passed screening', async () => {
    const { scene, event } = await sceneOfAnAdmitted('Mend the roof.', { screening: 'required' });
    expect(await scene.deliver(hydrateTask, event)).toEqual([]);
    expect(scene.ignored).toEqual(['awaits_screening']);
    expect((await scene.task())?.status).toBe('ADMITTED');
  });

  it('has neither prompt nor token in its record and events', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const told = await scene.deliver(hydrateTask, event);
    const { token } = await scene.runs.open(aTaskId(), 1);
    const said = JSON.stringify([told, await scene.task(), await scene.record()]);
    expect(said).not.toContain('roof');
    expect(said).not.toContain(token);
  });

  // A6
  it('carries the largest prompt whole', async () => {
    const prompt = 'x'.repeat(PROMPT_MAX_BYTES);
    const { scene, event } = await sceneOfAnAdmitted(prompt);
    const told = await scene.deliver(hydrateTask, event);
    const task = await scene.task();
    expect(JSON.stringify(told).length).toBeLessThan(2000);
    expect(await scene.payloads.get(task?.status === 'HYDRATED' ? task.input : '')).toContain(prompt);
  });

  // F16
  it('continues from saved work', async () => {
    const savedWork = { branch: 'baton/x', commit: 'abc' };
    const { scene, event } = await sceneOfAnAdmitted('p', { savedWork, baseBranch: 'main' });
    await scene.deliver(hydrateTask, event);
    const task = await scene.task();
    const payload = await scene.payloads.get(task?.status === 'HYDRATED' ? task.input : '');
    expect(JSON.parse(payload ?? '')).toMatchObject({ savedWork, baseBranch: 'main' });
  });

  it('told three times has one input and is told once', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    expect(await scene.thrice(hydrateTask, event)).toEqual([['TaskHydrated'], [], []]);
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toHaveLength(2);
  });

  it('told twice at once has one input, and one of the two tells', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    const told = await Promise.all([scene.deliver(hydrateTask, event), scene.deliver(hydrateTask, event)]);
    expect(told.flat()).toHaveLength(1);
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toHaveLength(2);
  });

  it('fails when its prompt is gone', async () => {
    const scene = aScene();
    const task = await scene.has(aTask({ status: 'ADMITTED' }));
    expect(typesOf(await scene.deliver(hydrateTask, latestEvent(task)))).toEqual(['TaskFailed']);
    expect(await scene.task()).toMatchObject({ status: 'FAILED', reason: { code: 'hydration_failed' } });
  });

  it('that has moved on is left alone', async () => {
    const { scene, event } = await sceneOfAnAdmitted();
    await scene.has(aTask({ status: 'CANCELLED' }));
    expect(await scene.deliver(hydrateTask, event)).toEqual([]);
    expect(scene.ignored).toEqual(['task_has_moved_on']);
    expect(await scene.record()).toBeUndefined();
  });

  it('that is cancelled while its input is stored leaves no input behind', async () => {
    const { scene, task, event } = await sceneOfAnAdmitted();
    const put: typeof scene.payloads.put = async (...asked) => {
      const ref = await scene.payloads.put(...asked);
      await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: task.taskId }));
      return ref;
    };
    await scene.deliver(hydrateTask, event, { instead: { payloads: { ...scene.payloads, put } } });
    expect((await scene.task())?.status).toBe('CANCELLED');
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toHaveLength(1);
  });
});

describe('a hydration that died after storing its input, and came back when the task had settled', () => {
  it('leaves no payload behind', async () => {
    const { scene, event, task } = await sceneOfAnAdmitted();
    await scene.payloads.put(task.taskId, 'the input that nobody named');
    await scene.has(aTask({ status: 'CANCELLED', settledAt: at(1), version: 9 }));
    await scene.deliver(hydrateTask, event, { tries: 2 });
    expect(await scene.store.list('PAYLOAD#', { limit: 10 })).toEqual([]);
  });
});

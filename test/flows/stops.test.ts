import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { remedyFor } from '../../schemas/reason.ts';
import { configure } from './configure.ts';
import { onEveryWorld, onLoopback, openLoopbackScene } from './every-world.ts';
import { eventually, type FlowScene, linesOf, openScene } from './scene.ts';

onEveryWorld((openScene, { itEmbedded }) => {
  describe('a run that ECS cannot start', () => {
    const NOT_FOUND = 'CannotPullContainerError: pull image manifest has been retried 5 time(s): not found';
    let scene: FlowScene;
    beforeAll(async () => {
      scene = await openScene({ failStart: ({ attempt }) => (attempt === 1 ? NOT_FOUND : undefined) });
    });
    afterAll(() => scene.close());

    it('is tried again; what was missing may be there by then', async () => {
      const taskId = await scene.submit('echo done > done.txt');
      expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(lossesOf(scene, taskId)).toEqual([{ code: 'image_unavailable', message: NOT_FOUND }]);
    });

    itEmbedded('fails its task with the words of ECS where no attempt is left, and never ran', async () => {
      const taskId = await scene.submit('true', { attempts: 1 });
      expect(await scene.settled(taskId)).toMatchObject({
        status: 'FAILED',
        reason: { code: 'image_unavailable', message: NOT_FOUND },
        run: { ended: { proof: 'never_started' } },
      });
      expect(remedyFor('image_unavailable')).toContain('image');
    });
  });
});

// F32. On loopback Spot is told in taken-away.test.ts.
describe('embedded, a repository whose runs begin on Spot capacity', () => {
  const NO_CAPACITY =
    'Capacity is unavailable at this time. Please try again later or in a different availability zone';
  let scene: FlowScene;
  beforeAll(async () => {
    let isFirst = true;
    scene = await openScene({
      failStart: () => {
        const none = isFirst;
        isFirst = false;
        return none ? NO_CAPACITY : undefined;
      },
    });
    await configure(scene, { capacity: 'spot-first' });
  });
  afterAll(() => scene.close());

  it('has the next attempt on demand when there is none', async () => {
    const taskId = await scene.submit('echo done > done.txt');
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(lossesOf(scene, taskId)).toEqual([{ code: 'no_capacity', message: NO_CAPACITY }]);
    expect([providerOf(scene, taskId, 1), providerOf(scene, taskId, 2)]).toEqual(['FARGATE_SPOT', 'FARGATE']);
  });

  it('has the next attempt on demand, with the saved work, when it is taken back', async () => {
    const halves = join(scene.folder, 'halves');
    const taskId = await scene.submit(
      `if [ -e first.txt ]; then echo b > second.txt; else echo a > first.txt; echo half >> ${halves}; sleep 300; fi`,
    );
    await eventually(() => linesOf(halves)[0], 'half of the work');
    await eventually(async () => (await scene.world.interrupt(taskId, 'spot')) || undefined, 'a run on Spot');
    expect(await scene.settled(taskId)).toMatchObject({
      status: 'COMPLETED',
      attempt: 2,
      result: { filesChanged: 2 },
    });
    expect(scene.inRemote('show', `baton/${taskId}:first.txt`)).toBe('a');
    expect(scene.inRemote('show', `baton/${taskId}:second.txt`)).toBe('b');
    expect(lossesOf(scene, taskId)).toMatchObject([{ code: 'spot_interrupted' }]);
    expect([providerOf(scene, taskId, 1), providerOf(scene, taskId, 2)]).toEqual(['FARGATE_SPOT', 'FARGATE']);
  });
});

// F1, F15: the embedded ECS answers in the same process; only here an answer can be lost.
onLoopback(() => {
  describe('a run whose id was never answered', () => {
    it('is adopted by what it was started by, and no second one is started', async () => {
      const scene = await openLoopbackScene({ dieAt: ({ name }) => (name === 'ecs.RunTask' ? 'after' : undefined) });
      try {
        const starts = join(scene.folder, 'starts');
        const taskId = await scene.submit(`echo start >> ${starts}; sleep 2; echo done > done.txt`);
        const task = await scene.settled(taskId);
        expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1 });
        expect(linesOf(starts)).toEqual(['start']);
        const arns = new Set(changesOf(scene, taskId, 1).map(({ taskArn }) => taskArn));
        expect([...arns]).toEqual([task.run?.nativeId]);
        expect(scene.world.troubles().some((trouble) => trouble.includes('Runtime.ExitError'))).toBe(true);
      } finally {
        await scene.close();
      }
    });
  });
});

interface Change {
  readonly taskArn: string;
  readonly startedBy?: string;
  readonly capacityProviderName?: string;
}

/** What ECS told of an attempt. */
const changesOf = (scene: FlowScene, taskId: string, attempt: number): Change[] =>
  scene.events
    .filter(({ source }) => source === 'aws.ecs')
    .map(({ detail }) => detail as Change)
    .filter(({ startedBy }) => startedBy === `baton/${scene.world.stage}/${taskId}/${attempt}`);

const providerOf = (scene: FlowScene, taskId: string, attempt: number): string =>
  changesOf(scene, taskId, attempt)[0]?.capacityProviderName ?? 'FARGATE';

/** Why attempts gave way to the next, each once. */
const lossesOf = (scene: FlowScene, taskId: string): unknown[] => {
  const losses = new Map<string, unknown>();
  for (const { 'detail-type': type, detail } of scene.events) {
    const { metadata, data } = detail as { metadata?: { taskId?: string; id: string }; data?: { reason: unknown } };
    if (type === 'RunLost' && metadata?.taskId === taskId) losses.set(metadata.id, data?.reason);
  }
  return [...losses.values()];
};

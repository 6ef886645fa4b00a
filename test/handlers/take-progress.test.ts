import { describe, expect, it } from '@jest/globals';
import { runProgressed } from '../../events/run-progressed.ts';
import { takeProgress } from '../../handlers/take-progress.ts';
import { aClaim, anArn, anEvent, aRunRecord, aTask, aTaskId, at } from '../builders.ts';
import { aScene } from './scene.ts';

const said = (seq: number, text: string, nativeId = anArn()) =>
  anEvent(runProgressed.of({ taskId: aTaskId(), attempt: 1, nativeId, seq, text }));

async function sceneOfAClaimed() {
  const scene = aScene();
  const task = await scene.has(aTask({ status: 'RUNNING' }));
  await scene.hasRun(aRunRecord({ claim: aClaim() }));
  return { scene, task };
}

describe('what the agent says', () => {
  it('is kept on the record of its run, and never on the task', async () => {
    const { scene, task } = await sceneOfAClaimed();
    expect(await scene.deliver(takeProgress, said(2, 'reading'))).toEqual([]);
    expect((await scene.record())?.progress).toEqual({ seq: 2, at: at(0), text: 'reading' });
    expect(await scene.task()).toEqual(task);
  });

  it('three times over is kept once', async () => {
    const { scene } = await sceneOfAClaimed();
    expect(await scene.thrice(takeProgress, said(2, 'reading'))).toEqual([[], [], []]);
    expect(scene.ignored).toEqual(['progress_is_stale', 'progress_is_stale']);
  });

  it('earlier does not replace what it said later', async () => {
    const { scene } = await sceneOfAClaimed();
    await scene.deliver(takeProgress, said(3, 'writing'));
    await scene.deliver(takeProgress, said(2, 'reading'));
    expect((await scene.record())?.progress?.text).toBe('writing');
  });

  it('is not taken from a run that is not the claimant', async () => {
    const { scene } = await sceneOfAClaimed();
    await scene.deliver(takeProgress, said(2, 'lies', anArn('run-2')));
    expect((await scene.record())?.progress).toBeUndefined();
    expect(scene.ignored).toEqual(['progress_is_fenced']);
  });

  it('is not kept of a run that nobody knows', async () => {
    const scene = aScene();
    expect(await scene.deliver(takeProgress, said(2, 'hello?'))).toEqual([]);
    expect(await scene.record()).toBeUndefined();
  });
});

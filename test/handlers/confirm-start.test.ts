import { describe, expect, it } from '@jest/globals';
import { runClaimed } from '../../events/run-claimed.ts';
import { confirmStart } from '../../handlers/confirm-start.ts';
import { aClaim, anArn, anEvent, aRunRecord, aTask, aTaskId } from '../builders.ts';
import { aScene, typesOf } from './scene.ts';

const claimed = (fields: { attempt?: number; nativeId?: string } = {}) =>
  anEvent(runClaimed.of({ taskId: aTaskId(), attempt: 1, nativeId: anArn(), seq: 1, ...fields }));

describe('a starting task whose runner has claimed', () => {
  it('runs', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STARTING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim() }));
    expect(typesOf(await scene.deliver(confirmStart, claimed()))).toEqual(['RunStarted']);
    expect((await scene.task())?.status).toBe('RUNNING');
  });

  it('told three times runs once', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STARTING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim() }));
    expect(await scene.thrice(confirmStart, claimed())).toEqual([['RunStarted'], [], []]);
  });
});

describe('a claim that does not count', () => {
  it.each([
    ['because the record knows of none', 'STARTING', undefined, claimed(), 'not_the_claimant'],
    ['because another has claimed', 'STARTING', aClaim('run-2'), claimed(), 'not_the_claimant'],
    ['because it is of another attempt', 'STARTING', aClaim(), claimed({ attempt: 2 }), 'of_another_attempt'],
    ['because the task runs already', 'RUNNING', aClaim(), claimed(), 'start_is_known'],
    ['because the task is being stopped', 'STOPPING', aClaim(), claimed(), 'start_is_known'],
  ] as const)('%s changes nothing', async (_, status, claim, event, reason) => {
    const scene = aScene();
    const task = await scene.has(aTask({ status }));
    await scene.hasRun(aRunRecord(claim ? { claim } : {}));
    expect(await scene.deliver(confirmStart, event)).toEqual([]);
    expect(scene.ignored).toEqual([reason]);
    expect(await scene.task()).toEqual(task);
  });
});

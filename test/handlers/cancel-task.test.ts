import { describe, expect, it } from '@jest/globals';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { type Status, statuses } from '../../schemas/task.ts';
import { aRequest, aRunRecord, aTask, aTaskId } from '../builders.ts';
import { aScene, typesOf } from './scene.ts';

const asked = (fields: object = {}) => aRequest('TaskCancelRequested', { taskId: aTaskId(), ...fields });

// X1
describe('a cancel', () => {
  const becomes: Record<Status, [Status, ...string[]]> = {
    SUBMITTED: ['CANCELLED', 'TaskCancelled'],
    QUEUED: ['CANCELLED', 'TaskCancelled'],
    ADMITTED: ['CANCELLED', 'TaskCancelled'],
    HYDRATED: ['CANCELLED', 'TaskCancelled'],
    STARTING: ['STOPPING', 'RunStopRequested'],
    RUNNING: ['STOPPING', 'RunStopRequested'],
    FINALIZING: ['STOPPING', 'RunEnded'],
    STOPPING: ['STOPPING'],
    BACKOFF: ['CANCELLED', 'TaskCancelled'],
    COMPLETED: ['COMPLETED'],
    FAILED: ['FAILED'],
    CANCELLED: ['CANCELLED'],
    TIMED_OUT: ['TIMED_OUT'],
  };

  it.each(statuses)('of a %s task, delivered three times, is done and told once', async (status) => {
    const scene = aScene();
    await scene.has(aTask({ status }));
    const [next, ...facts] = becomes[status];
    expect(await scene.thrice(cancelTask, asked())).toEqual([facts, [], []]);
    expect((await scene.task())?.status).toBe(next);
  });

  it('keeps the reason that it was given', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'QUEUED' }));
    await scene.deliver(cancelTask, asked({ reason: 'Wrong repository.' }));
    expect(await scene.task()).toMatchObject({ reason: { code: 'cancelled', message: 'Wrong repository.' } });
  });

  it.each([
    ['baton.request', 'CANCELLED'],
    ['baton.request.ada', 'CANCELLED'],
    ['baton.request.eve', 'QUEUED'],
  ])('from %s of a task of ada leaves it %s', async (source, status) => {
    const scene = aScene();
    await scene.has({ ...aTask({ status: 'QUEUED' }), userId: 'ada' });
    await scene.deliver(cancelTask, { ...asked(), source });
    expect((await scene.task())?.status).toBe(status);
  });

  it('lets nobody claim the run any more', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STARTING' }));
    await scene.hasRun(aRunRecord());
    await scene.deliver(cancelTask, asked());
    expect(await scene.record()).toMatchObject({ noClaim: true });
  });

  it('of a task that nobody knows is noted', async () => {
    const scene = aScene();
    expect(await scene.deliver(cancelTask, asked())).toEqual([]);
    expect(scene.ignored).toEqual(['unknown_task']);
  });

  it('whose first delivery died before telling is told by the retry', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    const event = asked();
    await scene.deliver(cancelTask, event);
    expect(typesOf(await scene.deliver(cancelTask, event, { tries: 2 }))).toEqual(['RunStopRequested']);
  });
});

describe('a cancel that is replayed', () => {
  it('cancels nothing: the task may have come after the wish', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    expect(await scene.deliver(cancelTask, { ...asked(), 'replay-name': 'again' })).toEqual([]);
    expect((await scene.task())?.status).toBe('RUNNING');
  });
});

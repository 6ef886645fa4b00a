import { describe, expect, it } from '@jest/globals';
import { returnSlot } from '../../handlers/return-slot.ts';
import { leaseOf } from '../../schemas/slot.ts';
import { aTask, aTaskId } from '../builders.ts';
import { aScene, latestEvent, leasesOf } from './scene.ts';

const lost = aTask({ status: 'BACKOFF' });
const red = leaseOf(aTaskId(), 1);
const green = leaseOf(aTaskId('green'), 1);
const options = { priority: 0, cause: { id: 'x', type: 'Test' }, correlationId: 'green' };

describe('a lost run', () => {
  it('gives its slot to the next in line', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.slots.take('user:ada', red, options);
    await scene.has(aTask({ status: 'QUEUED', taskId: aTaskId('green') }));
    await scene.slots.take('user:ada', green, options);
    await scene.has(lost);
    const told = await scene.deliver(returnSlot, latestEvent(lost));
    expect(told).toMatchObject([{ 'detail-type': 'SlotGranted', detail: { data: { taskId: aTaskId('green') } } }]);
    expect(leasesOf(await scene.slot())).toEqual({ holders: [green], waiters: [] });
  });

  it('told three times gives back one slot, and says the same grant until it is taken up', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    for (const lease of [red, green, leaseOf(aTaskId('gray'), 1)]) await scene.slots.take('user:ada', lease, options);
    await scene.has(lost);
    const told = [];
    for (let n = 0; n < 3; n++) told.push(...(await scene.deliver(returnSlot, latestEvent(lost))));
    expect(new Set(told.map(({ id }) => id)).size).toBe(1);
    expect(leasesOf(await scene.slot())).toEqual({ holders: [green], waiters: [leaseOf(aTaskId('gray'), 1)] });
  });

  it('without a slot gives nothing back', async () => {
    const scene = aScene();
    await scene.has(lost);
    expect(await scene.deliver(returnSlot, latestEvent(lost))).toEqual([]);
  });

  it('leaves the slot of the next attempt alone', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING', attempt: 2 }));
    await scene.slots.take('user:ada', leaseOf(aTaskId(), 2), options);
    await scene.deliver(returnSlot, latestEvent(lost));
    expect(leasesOf(await scene.slot()).holders).toEqual([leaseOf(aTaskId(), 2)]);
  });

  it('of a task that nobody knows is noted', async () => {
    const scene = aScene();
    expect(await scene.deliver(returnSlot, latestEvent(lost))).toEqual([]);
    expect(scene.ignored).toEqual(['unknown_task']);
  });
});

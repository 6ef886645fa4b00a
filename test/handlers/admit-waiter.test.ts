import { describe, expect, it } from '@jest/globals';
import { slotGranted } from '../../events/slot-granted.ts';
import { admitWaiter } from '../../handlers/admit-waiter.ts';
import { leaseOf } from '../../schemas/slot.ts';
import type { Status } from '../../schemas/task.ts';
import { anEvent, aTask, aTaskId, at } from '../builders.ts';
import { aScene, leasesOf, typesOf } from './scene.ts';

const red = leaseOf(aTaskId('red'), 1);
const green = leaseOf(aTaskId('green'), 1);
const gray = leaseOf(aTaskId('gray'), 1);
const cause = { id: 'x', type: 'Test' };
const options = { priority: 0, cause, correlationId: 'c' };
const granted = (attempt = 1) => anEvent(slotGranted.of({ slotKey: 'user:ada', taskId: aTaskId(), attempt }));

/** Gray held the only slot; red and green waited; now it is red's, who has not been told. */
async function sceneOfAGrant(status: Status = 'QUEUED') {
  const scene = aScene();
  await scene.has(aTask({ status: 'QUEUED', taskId: aTaskId('green') }));
  await scene.has(aTask({ status }));
  await scene.has(aTask({ status: 'RUNNING', taskId: aTaskId('gray') }));
  for (const lease of [gray, red, green]) await scene.slots.take('user:ada', lease, options);
  await scene.slots.release('user:ada', gray, cause);
  return scene;
}

describe('a waiting task that is given a slot', () => {
  it.each(['QUEUED', 'SUBMITTED'] as const)('is admitted from %s, and confirms the grant', async (status) => {
    const scene = await sceneOfAGrant(status);
    expect((await scene.slot())?.holders[red]?.grant).toBeDefined();
    expect(typesOf(await scene.deliver(admitWaiter, granted()))).toEqual(['TaskAdmitted']);
    expect((await scene.task())?.status).toBe('ADMITTED');
    expect((await scene.slot())?.holders[red]).toBeDefined();
    expect((await scene.slot())?.holders[red]?.grant).toBeUndefined();
  });

  it('told three times is admitted once', async () => {
    const scene = await sceneOfAGrant();
    expect(await scene.thrice(admitWaiter, granted())).toEqual([['TaskAdmitted'], [], []]);
  });

  it('is admitted from BACKOFF into its next attempt', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'BACKOFF' }));
    await scene.slots.take('user:ada', leaseOf(aTaskId(), 2), options);
    await scene.deliver(admitWaiter, granted(2));
    expect(await scene.task()).toMatchObject({ status: 'ADMITTED', attempt: 2 });
  });

  it('for an attempt that is over gives the slot to the next', async () => {
    const scene = await sceneOfAGrant('BACKOFF');
    expect(typesOf(await scene.deliver(admitWaiter, granted(1)))).toEqual(['SlotGranted']);
    expect((await scene.task())?.status).toBe('BACKOFF');
    expect(leasesOf(await scene.slot()).holders).toEqual([green]);
  });

  it('but was cancelled meanwhile gives the slot to the next', async () => {
    const scene = await sceneOfAGrant();
    await scene.has(aTask({ status: 'CANCELLED', settledAt: at(1) }));
    const told = await scene.deliver(admitWaiter, granted());
    expect(told[0]).toMatchObject({ 'detail-type': 'SlotGranted', detail: { data: { taskId: aTaskId('green') } } });
    expect(leasesOf(await scene.slot())).toEqual({ holders: [green], waiters: [] });
  });

  it('and works already keeps it', async () => {
    const scene = await sceneOfAGrant('RUNNING');
    expect(await scene.deliver(admitWaiter, granted())).toEqual([]);
    expect(leasesOf(await scene.slot()).holders).toEqual([red]);
    expect(scene.ignored).toEqual(['grant_was_taken_up']);
  });

  it('that nobody knows gives it back', async () => {
    const scene = aScene();
    await scene.slots.take('user:ada', red, options);
    await scene.deliver(admitWaiter, granted());
    expect(leasesOf(await scene.slot()).holders).toEqual([]);
  });
});

describe('a grant that nobody gave', () => {
  it('admits nobody: who says it may be a replay of what never reached the disk', async () => {
    const scene = await sceneOfAGrant();
    await scene.slots.release('user:ada', red, cause);
    expect(await scene.deliver(admitWaiter, granted())).toEqual([]);
    expect((await scene.task())?.status).toBe('QUEUED');
    expect(scene.ignored).toEqual(['grant_is_not_held']);
  });

  it('of another key admits nobody', async () => {
    const scene = await sceneOfAGrant();
    const other = anEvent(slotGranted.of({ slotKey: 'user:bob', taskId: aTaskId(), attempt: 1 }));
    expect(await scene.deliver(admitWaiter, other)).toEqual([]);
    expect((await scene.task())?.status).toBe('QUEUED');
  });
});

describe('a task whose request has not passed screening', () => {
  it('is admitted by no grant', async () => {
    const scene = await sceneOfAGrant();
    await scene.has({ ...aTask({ status: 'SUBMITTED' }), screening: 'required' });
    expect(await scene.deliver(admitWaiter, granted())).toEqual([]);
    expect((await scene.task())?.status).toBe('SUBMITTED');
    expect(scene.ignored).toEqual(['awaits_screening']);
  });
});

import { describe, expect, it } from '@jest/globals';
import { repositoryConfigured } from '../../events/repository-configured.ts';
import { applyLimit } from '../../handlers/apply-limit.ts';
import { slotKeyOfRepository } from '../../schemas/repository-config.ts';
import { leaseOf } from '../../schemas/slot.ts';
import { aCause, anEvent, aTask, aTaskId, at } from '../builders.ts';
import { aScene, leasesOf, typesOf } from './scene.ts';

const name = 'https://git.example/team/app';
const key = slotKeyOfRepository(name);
const ids = ['red', 'gray', 'green'].map((one) => aTaskId(one));
const lease = (n: number) => leaseOf(ids[n] ?? '', 1);
const configured = (limit: number | null) => anEvent(repositoryConfigured.of({ name, removed: limit === null, limit }));

/** Three tasks of one repository that may run one at a time: the first runs, two wait. */
async function aLine() {
  const scene = aScene({ limit: 2 });
  await scene.configurations.set(name, { limit: 1 }, { id: 'one', at: at(0) });
  for (const [n, taskId] of ids.entries()) {
    await scene.has(aTask({ status: n === 0 ? 'RUNNING' : 'QUEUED', taskId, slotKey: key }));
    await scene.slots.take(key, lease(n), { priority: 0, cause: aCause(), correlationId: 'c' });
  }
  expect(leasesOf(await scene.slot(key))).toEqual({ holders: [lease(0)], waiters: [lease(1), lease(2)] });
  return scene;
}

describe('a limit that was raised', () => {
  it('lets those who wait start at once, and tells each of them', async () => {
    const scene = await aLine();
    await scene.configurations.set(name, { limit: 3 }, { id: 'two', at: at(1) });
    const told = await scene.deliver(applyLimit, configured(3));
    expect(told.map(({ detail }) => detail.data)).toEqual([
      { slotKey: key, taskId: ids[1], attempt: 1 },
      { slotKey: key, taskId: ids[2], attempt: 1 },
    ]);
    expect(leasesOf(await scene.slot(key))).toEqual({ holders: [lease(0), lease(1), lease(2)], waiters: [] });
  });

  it('is applied as it is stored, not as an old event says it', async () => {
    const scene = await aLine();
    expect(await scene.deliver(applyLimit, configured(3))).toEqual([]);
    expect(leasesOf(await scene.slot(key)).waiters).toHaveLength(2);
  });

  it('told three times gives no place twice', async () => {
    const scene = await aLine();
    await scene.configurations.set(name, { limit: 2 }, { id: 'two', at: at(1) });
    for (let n = 0; n < 3; n++)
      expect(typesOf(await scene.deliver(applyLimit, configured(2)))).toEqual(['SlotGranted']);
    expect(leasesOf(await scene.slot(key))).toEqual({ holders: [lease(0), lease(1)], waiters: [lease(2)] });
  });
});

describe('a limit that was taken away', () => {
  it('lets those who still wait for it go on as the deployment allows', async () => {
    const scene = await aLine();
    await scene.configurations.set(name, null, { id: 'two', at: at(1) });
    await scene.deliver(applyLimit, configured(null));
    expect(leasesOf(await scene.slot(key))).toEqual({ holders: [lease(0), lease(1)], waiters: [lease(2)] });
  });
});

describe('a limit that was lowered', () => {
  it('takes no place from who has one, and gives none until there are fewer', async () => {
    const scene = await aLine();
    await scene.configurations.set(name, { limit: 2 }, { id: 'two', at: at(1) });
    await scene.deliver(applyLimit, configured(2));
    await scene.configurations.set(name, { limit: 1 }, { id: 'three', at: at(2) });
    await scene.deliver(applyLimit, configured(1));
    expect(leasesOf(await scene.slot(key)).holders).toEqual([lease(0), lease(1)]);
    await scene.slots.release(key, lease(0), aCause());
    expect(leasesOf(await scene.slot(key))).toEqual({ holders: [lease(1)], waiters: [lease(2)] });
  });
});

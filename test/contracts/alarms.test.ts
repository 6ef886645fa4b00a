import { beforeEach, describe, expect, it } from '@jest/globals';
import { taskKey } from '../../runtime/records.ts';
import type { Task } from '../../schemas/task.ts';
import { aTask, aTaskId, at } from '../builders.ts';
import { anEngine } from '../runtime/engine/engine-fixture.ts';
import { type VirtualTime, virtualTime } from '../runtime/engine/virtual-time.ts';
import { onEmbeddedStores } from './stores.ts';

onEmbeddedStores((present) => {
  let time: VirtualTime;
  beforeEach(() => {
    time = virtualTime();
  });
  const rings = (world: ReturnType<typeof anEngine>) =>
    world.heard.filter((event) => event['detail-type'] === 'AlarmRang').map(({ id, time: when }) => `${id} ${when}`);
  const has = (task: Task) =>
    present.store.put(taskKey(task.taskId), task, 'any', { by: 'ada', at: task.submittedAt, open: true });

  describe('an alarm', () => {
    it('wakes its task at its time, on the bus', async () => {
      const world = anEngine({ store: present.store, time });
      await has(aTask({ status: 'RUNNING' }));
      await world.engine.alarms.arm(aTaskId(), at(10));
      await time.pass(9);
      expect(rings(world)).toEqual([]);
      await time.pass(1);
      expect(rings(world)).toEqual([`alarm#${aTaskId()}#${at(10)} ${at(10)}`]);
    });

    it('sets its successor before it is acknowledged', async () => {
      const world = anEngine({ store: present.store, time });
      await has(aTask({ status: 'QUEUED', armedAt: at(30) }));
      await world.engine.alarms.arm(aTaskId(), at(30));
      await time.pass(200);
      expect(rings(world).map((ring) => ring.split('#')[2]?.slice(0, 24))).toEqual([30, 60, 90, 120, 150, 180].map(at));
      expect(await world.task(aTaskId())).toMatchObject({ status: 'QUEUED', armedAt: at(210) });
    });

    it('that was set before a restart rings after it, late rather than never', async () => {
      await has(aTask({ status: 'RUNNING', armedAt: at(3600) }));
      await present.store.durable();
      const store = await present.reopen();
      await time.pass(5000);
      const world = anEngine({ store, time });
      expect(await world.engine.recover()).toBe(1);
      await time.pass(1);
      expect(await world.task(aTaskId())).toMatchObject({ status: 'TIMED_OUT' });
    });

    it('that nobody managed to set before a restart is set from what is due', async () => {
      await has(aTask({ status: 'FINALIZING' }));
      const world = anEngine({ store: present.store, time });
      await world.engine.recover();
      await time.pass(5);
      expect(await world.task(aTaskId())).toMatchObject({
        status: 'FAILED',
        reason: { code: 'exited_without_report' },
      });
    });

    it('of a settled task is not set again by a restart', async () => {
      const settled = aTask({ status: 'COMPLETED', settledAt: at(1), due: {} });
      await present.store.put(taskKey(settled.taskId), settled, 'any', { by: 'ada', at: at(0), open: false });
      const world = anEngine({ store: present.store, time });
      expect(await world.engine.recover()).toBe(0);
      await time.pass(9999);
      expect(rings(world)).toEqual([]);
    });
  });
});

import { describe, expect, it } from '@jest/globals';
import { attemptDue } from '../../events/attempt-due.ts';
import { admitTask } from '../../handlers/admit-task.ts';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { emptySlot } from '../../lifecycle/slot-decisions.ts';
import { slotKey } from '../../runtime/records.ts';
import { leaseOf, SLOT_WAITERS_MAX } from '../../schemas/slot.ts';
import { anEvent, aRequest, aTask, aTaskId, at } from '../builders.ts';
import { aScene, latestEvent, leasesOf, typesOf } from './scene.ts';

const red = aTask({ status: 'SUBMITTED' });
const green = aTask({ status: 'SUBMITTED', taskId: aTaskId('green') });
const cause = { id: 'x', type: 'Test' };
const options = { priority: 0, cause, correlationId: 'c' };

describe('a new task', () => {
  it('is admitted when a slot is free', async () => {
    const scene = aScene();
    await scene.has(red);
    expect(typesOf(await scene.deliver(admitTask, latestEvent(red)))).toEqual(['TaskAdmitted']);
    expect((await scene.task())?.status).toBe('ADMITTED');
    expect(leasesOf(await scene.slot())).toEqual({ holders: [leaseOf(red.taskId, 1)], waiters: [] });
  });

  it('waits in line when none is', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.slots.take('user:ada', leaseOf(red.taskId, 1), options);
    await scene.has(green);
    const told = await scene.deliver(admitTask, latestEvent(green));
    expect(told[0]).toMatchObject({ 'detail-type': 'TaskQueued', detail: { data: { position: 1 } } });
    expect((await scene.task(green.taskId))?.status).toBe('QUEUED');
    expect(leasesOf(await scene.slot()).waiters).toEqual([leaseOf(green.taskId, 1)]);
  });

  it('fails when the line is full', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.has(green);
    const waiter = (order: number) => ({ since: at(0), priority: 0, order, correlationId: 'c' });
    const waiters = Array.from({ length: SLOT_WAITERS_MAX }, (_, n) => [leaseOf(aTaskId(`n${n}x`), 1), waiter(n)]);
    const holders = { [leaseOf(red.taskId, 1)]: { since: at(0), priority: 0 } };
    const full = { ...emptySlot('user:ada', 1), holders, waiters: Object.fromEntries(waiters), nextOrder: 5000 };
    await scene.store.put(slotKey('user:ada'), full, 'absent');
    expect(typesOf(await scene.deliver(admitTask, latestEvent(green)))).toEqual(['TaskFailed']);
    expect(await scene.task(green.taskId)).toMatchObject({ status: 'FAILED', reason: { code: 'queue_full' } });
  });

  it('delivered three times takes one slot and is told once', async () => {
    const scene = aScene({ limit: 5 });
    await scene.has(red);
    expect(await scene.thrice(admitTask, latestEvent(red))).toEqual([['TaskAdmitted'], [], []]);
    expect(leasesOf(await scene.slot()).holders).toHaveLength(1);
  });

  it('that waits, delivered three times, has one place in line and is told once', async () => {
    const scene = aScene({ limit: 0 });
    await scene.has(red);
    expect(await scene.thrice(admitTask, latestEvent(red))).toEqual([['TaskQueued'], [], []]);
    expect(leasesOf(await scene.slot()).waiters).toHaveLength(1);
  });

  it('whose slot was taken by a delivery that died there is admitted with that slot', async () => {
    const scene = aScene();
    await scene.has(red);
    await scene.slots.take('user:ada', leaseOf(red.taskId, 1), options);
    expect(typesOf(await scene.deliver(admitTask, latestEvent(red), { tries: 2 }))).toEqual(['TaskAdmitted']);
  });

  it('gets the place of a holder that can never use it', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'CANCELLED', settledAt: at(1) }));
    await scene.slots.take('user:ada', leaseOf(red.taskId, 1), options);
    await scene.has(green);
    expect(typesOf(await scene.deliver(admitTask, latestEvent(green)))).toEqual(['TaskAdmitted']);
    expect(leasesOf(await scene.slot()).holders).toEqual([leaseOf(green.taskId, 1)]);
  });

  it('whose first delivery died before it told another of the place that it cleared tells it by the retry', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.slots.take('user:ada', leaseOf(red.taskId, 1), options);
    await scene.slots.take('user:ada', leaseOf(aTaskId('grey'), 1), options);
    await scene.has(aTask({ status: 'QUEUED', taskId: aTaskId('grey') }));
    await scene.has(aTask({ status: 'CANCELLED', settledAt: at(1) }));
    await scene.has(green);
    const grants = async (tries: number) =>
      (await scene.deliver(admitTask, latestEvent(green), { tries })).filter(
        (event) => event['detail-type'] === 'SlotGranted',
      );
    const first = await grants(1);
    expect(first).toHaveLength(1);
    expect(await grants(2)).toEqual(first);
    expect(await grants(1)).toEqual([]);
  });

  it('that moved on before is left alone, and takes nothing', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'HYDRATED' }));
    expect(await scene.deliver(admitTask, latestEvent(red))).toEqual([]);
    expect(await scene.slot()).toBeUndefined();
    expect(scene.ignored).toEqual(['task_has_moved_on']);
  });

  it('that is cancelled while it takes its slot gives it back', async () => {
    const scene = aScene();
    await scene.has(red);
    const take: typeof scene.slots.take = async (...asked) => {
      const answer = await scene.slots.take(...asked);
      await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: red.taskId }));
      return answer;
    };
    await scene.deliver(admitTask, latestEvent(red), { instead: { slots: { ...scene.slots, take } } });
    expect((await scene.task())?.status).toBe('CANCELLED');
    expect(leasesOf(await scene.slot())).toEqual({ holders: [], waiters: [] });
  });

  it('is refused when nobody knows it', async () => {
    const scene = aScene();
    expect(await scene.deliver(admitTask, latestEvent(red))).toEqual([]);
    expect(scene.ignored).toEqual(['unknown_task']);
  });
});

describe('an attempt that is due', () => {
  const waiting = aTask({ status: 'BACKOFF' });
  const due = anEvent(attemptDue.of({ attempt: 2 }), { version: waiting.version });

  it('asks for a slot of its own', async () => {
    const scene = aScene();
    await scene.has(waiting);
    expect(typesOf(await scene.deliver(admitTask, due))).toEqual(['TaskAdmitted']);
    expect(await scene.task()).toMatchObject({ status: 'ADMITTED', attempt: 2 });
    expect(leasesOf(await scene.slot()).holders).toEqual([leaseOf(waiting.taskId, 2)]);
  });

  it('does not wait behind what its own lost attempt has left', async () => {
    const scene = aScene();
    await scene.has(waiting);
    await scene.slots.take('user:ada', leaseOf(waiting.taskId, 1), options);
    expect(typesOf(await scene.deliver(admitTask, due))).toEqual(['TaskAdmitted']);
    expect(leasesOf(await scene.slot()).holders).toEqual([leaseOf(waiting.taskId, 2)]);
  });
});

describe('a task whose attempt was lost between the taking of its slot and the decision', () => {
  it('is not admitted to the next attempt on the slot of the lost one', async () => {
    const scene = aScene();
    await scene.has(red);
    const event = latestEvent(red);
    const slots = {
      ...scene.slots,
      // The handler stalls after the take: meanwhile the task is admitted, runs, is lost, and its slot goes back.
      take: async (...asked: Parameters<typeof scene.slots.take>) => {
        const taken = await scene.slots.take(...asked);
        await scene.has(aTask({ status: 'BACKOFF', attempt: 1, version: 9 }));
        await scene.slots.release('user:ada', leaseOf(red.taskId, 1), cause);
        return taken;
      },
    };
    expect(await scene.deliver(admitTask, event, { instead: { slots } })).toEqual([]);
    expect((await scene.task())?.status).toBe('BACKOFF');
  });
});

describe('a retry of who waits in line already', () => {
  it('does not take up a grant that nobody has said yet', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.slots.take('user:ada', leaseOf(red.taskId, 1), options);
    await scene.has(green);
    const asked = latestEvent(green);
    await scene.deliver(admitTask, asked);
    // Its place comes free, and whoever freed it ends before it says so.
    await scene.slots.release('user:ada', leaseOf(red.taskId, 1), { id: 'freed', type: 'Test' });
    const said = await scene.deliver(admitTask, asked, { tries: 2 });
    expect(typesOf(said)).toContain('SlotGranted');
    expect((await scene.slot())?.holders[leaseOf(green.taskId, 1)]?.grant).toBeDefined();
  });
});

import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { admitTask } from '../../handlers/admit-task.ts';
import { wakeTask } from '../../handlers/wake-task.ts';
import { alarmId } from '../../runtime/tasks.ts';
import { leaseOf } from '../../schemas/slot.ts';
import { anEvent, aRunRecord, aTask, aTaskId, at } from '../builders.ts';
import { aScene, latestEvent, leasesOf, typesOf } from './scene.ts';

const rang = (when: string) => anEvent(alarmRang.of({ taskId: aTaskId(), at: when }), { id: alarmId(aTaskId(), when) });
const options = { priority: 0, cause: { id: 'x', type: 'Test' }, correlationId: 'c' };

describe('an alarm', () => {
  it('says again what had no effect, and sets its successor', async () => {
    const scene = aScene();
    const task = await scene.has(aTask({ status: 'SUBMITTED', armedAt: at(20) }));
    scene.pass(20);
    const told = await scene.deliver(wakeTask, rang(at(20)));
    expect(told).toEqual([latestEvent(task)]);
    expect(await scene.task()).toMatchObject({ version: 1, armedAt: at(40), due: { step: at(40) } });
    expect(scene.armed).toContain(at(40));
  });

  it('that rang too early only sets its successor', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING', armedAt: at(20) }));
    scene.pass(20);
    expect(await scene.deliver(wakeTask, rang(at(20)))).toEqual([]);
    expect(scene.armed).toEqual([at(3600)]);
    expect(await scene.task()).toMatchObject({ version: 5, armedAt: at(3600) });
  });

  it('delivered three times does what is due once', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING', armedAt: at(3600) }));
    await scene.hasRun(aRunRecord());
    scene.pass(3600);
    expect(await scene.thrice(wakeTask, rang(at(3600)))).toEqual([['RunStopRequested'], [], []]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'timed_out' });
  });

  it('that nobody waits for any more does nothing', async () => {
    const scene = aScene();
    const task = await scene.has(aTask({ status: 'RUNNING', armedAt: at(3600) }));
    expect(await scene.deliver(wakeTask, rang(at(20)))).toEqual([]);
    expect(await scene.task()).toEqual(task);
    expect(scene.armed).toEqual([]);
  });

  it('of a settled task does nothing', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'COMPLETED', settledAt: at(1), armedAt: at(20) }));
    scene.pass(9999);
    expect(await scene.deliver(wakeTask, rang(at(20)))).toEqual([]);
    expect(scene.armed).toEqual([]);
  });

  it('of a task that nobody knows is noted', async () => {
    const scene = aScene();
    expect(await scene.deliver(wakeTask, rang(at(20)))).toEqual([]);
    expect(scene.ignored).toEqual(['unknown_task']);
  });
});

// F8
describe('a queued task that is woken', () => {
  it('gets the place of a holder that can never use it', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING', taskId: aTaskId('green') }));
    await scene.slots.take('user:ada', leaseOf(aTaskId('green'), 1), options);
    const red = await scene.has(aTask({ status: 'SUBMITTED' }));
    await scene.deliver(admitTask, latestEvent(red));
    await scene.has(aTask({ status: 'COMPLETED', taskId: aTaskId('green'), settledAt: at(1) }));
    scene.pass(30);
    expect(typesOf(await scene.deliver(wakeTask, rang(at(30))))).toContain('SlotGranted');
    expect(leasesOf(await scene.slot())).toEqual({ holders: [leaseOf(aTaskId(), 1)], waiters: [] });
  });

  it('is told again of a grant that it never heard of', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'QUEUED', armedAt: at(30) }));
    await scene.has(aTask({ status: 'RUNNING', taskId: aTaskId('green') }));
    await scene.slots.take('user:ada', leaseOf(aTaskId('green'), 1), options);
    await scene.slots.take('user:ada', leaseOf(aTaskId(), 1), options);
    const { events } = await scene.slots.release('user:ada', leaseOf(aTaskId('green'), 1), options.cause);
    scene.pass(30);
    const told = await scene.deliver(wakeTask, rang(at(30)));
    expect(told).toContainEqual(events[0]);
  });
});

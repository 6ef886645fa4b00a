import { describe, expect, it } from '@jest/globals';
import { runEnded } from '../../events/run-ended.ts';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { settleTask } from '../../handlers/settle-task.ts';
import { endNote } from '../../lifecycle/judge.ts';
import { noteEvents } from '../../runtime/published.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { leaseOf } from '../../schemas/slot.ts';
import type { TerminalTask } from '../../schemas/task.ts';
import { aKnownRun, anEvent, aRequest, aRunRecord, aTask, aTaskId, at } from '../builders.ts';
import { aScene, latestEvent, leasesOf, typesOf } from './scene.ts';

const ended = { at: at(0), proof: 'proven' as const };
const red = leaseOf(aTaskId(), 1);
const green = leaseOf(aTaskId('green'), 1);
const options = { priority: 0, cause: { id: 'x', type: 'Test' }, correlationId: 'c' };

function endedEvent(task: TerminalTask): BatonEvent {
  const [event] = noteEvents(task, [endNote(task, ended)], options.cause, at(0));
  if (!event) throw new Error('expected an event');
  return event;
}

/** A completed task with everything that it holds: a slot, its payloads, a run record, and somebody who waits for its slot. */
async function sceneOfACompleted(run = aKnownRun({ ended })) {
  const scene = aScene();
  const promptRef = await scene.payloads.put(aTaskId(), 'prompt');
  const inputs = [await scene.payloads.put(aTaskId(), 'input 1'), await scene.payloads.put(aTaskId(), 'input 2')];
  await scene.has(aTask({ status: 'RUNNING' }));
  await scene.slots.take('user:ada', red, options);
  await scene.slots.take('user:ada', green, options);
  const task = await scene.has(aTask({ status: 'COMPLETED', run, promptRef, inputs }));
  await scene.hasRun(aRunRecord());
  return { scene, task };
}

describe('an ended task whose compute is over', () => {
  it('is settled when its end is told: slot returned, payloads deleted, record closed, nothing due', async () => {
    const { scene, task } = await sceneOfACompleted();
    const told = typesOf(await scene.deliver(settleTask, latestEvent(task)));
    expect(told).toContain('TaskSettled');
    expect(told).toContain('SlotGranted');
    expect(await scene.task()).toMatchObject({ status: 'COMPLETED', settledAt: at(0), due: {} });
    expect(leasesOf(await scene.slot())).toEqual({ holders: [green], waiters: [] });
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toEqual([]);
    expect(await scene.record()).toMatchObject({ closed: true });
  });

  it('is settled by no replay, which tells nobody and proves nothing; its own alarm does it', async () => {
    const { scene, task } = await sceneOfACompleted();
    const hook = { channel: 'webhook' as const, target: 'https://hooks.example.org' };
    await scene.has({ ...task, subscribers: [hook] });
    const replayed = { ...latestEvent(task), 'replay-name': 'again' };
    expect(typesOf(await scene.deliver(settleTask, replayed))).toEqual([]);
    expect(scene.ignored).toEqual(['terminal_fact_is_not_proven']);
    expect(await scene.task()).not.toHaveProperty('settledAt');
    expect(leasesOf(await scene.slot()).holders).toEqual([red]);
    expect(typesOf(await scene.deliver(settleTask, latestEvent(task)))).toContain('NotificationDue');
  });

  it('whose end was heard before is left to its alarm by a replay of what came after', async () => {
    const { scene, task } = await sceneOfACompleted();
    const history = task.history.map((entry) => ({ ...entry, proven: true }));
    await scene.has({ ...task, history });
    const ended = anEvent(runEnded.of({ compute: 'ecs', status: 'COMPLETED', proof: 'proven' }), {
      taskId: task.taskId,
    });
    expect(await scene.deliver(settleTask, { ...ended, 'replay-name': 'again' })).toEqual([]);
    expect(scene.ignored).toEqual(['left_to_its_alarm']);
    expect(typesOf(await scene.deliver(settleTask, ended))).toContain('TaskSettled');
  });

  it('told three times is settled once', async () => {
    const { scene, task } = await sceneOfACompleted();
    const told = await scene.thrice(settleTask, latestEvent(task));
    expect(told.flat().filter((type) => type === 'TaskSettled')).toHaveLength(1);
  });

  it('whose settling died before it was told is told by the retry', async () => {
    const { scene, task } = await sceneOfACompleted();
    await scene.deliver(settleTask, latestEvent(task));
    expect(typesOf(await scene.deliver(settleTask, latestEvent(task), { tries: 2 }))).toContain('TaskSettled');
  });

  it('whose settling died before it said who got the slot says that again, to nobody else', async () => {
    const { scene, task } = await sceneOfACompleted();
    const grants = async (tries: number) =>
      (await scene.deliver(settleTask, latestEvent(task), { tries })).filter(
        (event) => event['detail-type'] === 'SlotGranted',
      );
    const [first] = await grants(1);
    expect(await grants(2)).toEqual([first]);
    // An ordinary duplicate says nothing.
    expect(await grants(1)).toEqual([]);
  });

  it('closes the record of a run that was prepared and never started', async () => {
    const scene = aScene();
    const task = await scene.has({ ...aTask({ status: 'CANCELLED' }), inputs: ['payload-of-the-run'] });
    await scene.hasRun(aRunRecord());
    await scene.deliver(settleTask, latestEvent(task));
    expect(await scene.record()).toMatchObject({ closed: true });
  });

  it('leaves the listing of what is open', async () => {
    const { scene, task } = await sceneOfACompleted();
    await scene.deliver(settleTask, latestEvent(task));
    expect(await scene.store.query({ open: true, limit: 9 })).toEqual([]);
    expect(await scene.store.query({ by: 'ada', limit: 9 })).toHaveLength(1);
  });
});

describe('an ended task whose compute lives on', () => {
  it('keeps its slot until that has ended, then is settled', async () => {
    const { scene, task } = await sceneOfACompleted(aKnownRun());
    expect(await scene.deliver(settleTask, latestEvent(task))).toEqual([]);
    expect(leasesOf(await scene.slot()).holders).toEqual([red]);
    const told = await scene.task();
    if (told?.status !== 'COMPLETED' || !told.run) throw new Error('expected a completed task');
    expect(told.settledAt).toBeUndefined();
    const over = await scene.has({ ...told, run: { ...told.run, ended } });
    expect(typesOf(await scene.deliver(settleTask, endedEvent(over)))).toContain('TaskSettled');
    expect(leasesOf(await scene.slot()).holders).toEqual([green]);
  });
});

describe('an ended task whose compute ends while it is looked at', () => {
  it('is settled with everything given back', async () => {
    const { scene, task } = await sceneOfACompleted(aKnownRun());
    let looks = 0;
    const get: typeof scene.tasks.get = async (taskId) => {
      const seen = await scene.tasks.get(taskId);
      if (++looks === 1) await scene.has({ ...task, run: aKnownRun({ ended }) });
      return seen;
    };
    await scene.deliver(settleTask, latestEvent(task), { instead: { tasks: { ...scene.tasks, get } } });
    expect(await scene.task()).toMatchObject({ settledAt: at(0) });
    expect(leasesOf(await scene.slot()).holders).toEqual([green]);
    expect(await scene.store.list('PAYLOAD#', { limit: 9 })).toEqual([]);
  });
});

describe('an ended task whose end nobody was told', () => {
  it('is not settled by the end of its compute', async () => {
    const { scene, task } = await sceneOfACompleted();
    expect(await scene.deliver(settleTask, endedEvent(task))).toEqual([]);
    expect(scene.ignored).toEqual(['terminal_fact_is_not_proven']);
    expect(leasesOf(await scene.slot()).holders).toEqual([red]);
  });
});

describe('a task that was cancelled before it had a run', () => {
  it('leaves the line that it waited in', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING', taskId: aTaskId('green') }));
    await scene.has(aTask({ status: 'QUEUED' }));
    for (const lease of [green, red]) await scene.slots.take('user:ada', lease, options);
    const [cancelled] = await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: aTaskId() }));
    if (!cancelled) throw new Error('expected an event');
    await scene.deliver(settleTask, cancelled);
    expect(leasesOf(await scene.slot())).toEqual({ holders: [green], waiters: [] });
  });

  it('between two attempts gives back what the next one may have taken', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'BACKOFF' }));
    await scene.slots.take('user:ada', leaseOf(aTaskId(), 2), options);
    const [cancelled] = await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: aTaskId() }));
    if (!cancelled) throw new Error('expected an event');
    await scene.deliver(settleTask, cancelled);
    expect(leasesOf(await scene.slot())).toEqual({ holders: [], waiters: [] });
  });
});

describe('a task that has not ended', () => {
  it('is not settled', async () => {
    const { scene, task } = await sceneOfACompleted();
    await scene.has(aTask({ status: 'RUNNING' }));
    expect(await scene.deliver(settleTask, latestEvent(task))).toEqual([]);
    expect(scene.ignored).toEqual(['task_has_not_ended']);
  });
});

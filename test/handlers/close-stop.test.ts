import { describe, expect, it } from '@jest/globals';
import { closeStop } from '../../handlers/close-stop.ts';
import { endNote } from '../../lifecycle/judge.ts';
import { noteEvents } from '../../runtime/published.ts';
import { tasksOver } from '../../runtime/tasks.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import type { StopIntent } from '../../schemas/task.ts';
import { aClaim, aKnownRun, aReport, aRunRecord, aTask, at, testTimings } from '../builders.ts';
import { aScene, typesOf } from './scene.ts';

const ended = { at: at(0), proof: 'proven' as const };
const stopping = (intent: StopIntent) => aTask({ status: 'STOPPING', intent, run: aKnownRun({ ended }) });

function endedEvent(task: ReturnType<typeof stopping>): BatonEvent {
  const [event] = noteEvents(task, [endNote(task, ended)], { id: 'x', type: 'Test' }, at(0));
  if (!event) throw new Error('expected an event');
  return event;
}

describe('a stop whose run has ended', () => {
  it.each([
    ['cancelled', 'TaskCancelled', 'CANCELLED'],
    ['timed_out', 'TaskTimedOut', 'TIMED_OUT'],
    ['lost', 'RunLost', 'BACKOFF'],
  ] as const)('for being %s is told once as %s', async (intent, fact, status) => {
    const scene = aScene();
    const task = await scene.has(stopping(intent));
    await scene.hasRun(aRunRecord());
    expect(await scene.thrice(closeStop, endedEvent(task))).toEqual([[fact], [], []]);
    expect((await scene.task())?.status).toBe(status);
  });

  it('closes the record of the run before the next attempt can be admitted', async () => {
    const scene = aScene();
    const task = await scene.has(stopping('lost'));
    await scene.hasRun(aRunRecord({ claim: aClaim() }));
    await scene.deliver(closeStop, endedEvent(task));
    expect(await scene.record()).toMatchObject({ noClaim: true, closed: true });
    const signal = { taskId: task.taskId, attempt: 1, nativeId: aClaim().nativeId };
    expect(await scene.runs.report(signal, aReport())).toBe('fenced');
  });

  it('completes when a lost run had reported success', async () => {
    const scene = aScene();
    const task = await scene.has(stopping('lost'));
    await scene.hasRun(aRunRecord({ claim: aClaim(), report: aReport() }));
    expect(typesOf(await scene.deliver(closeStop, endedEvent(task)))).toEqual(['TaskCompleted']);
  });
});

describe('a stop whose run has not ended', () => {
  it('stays open, whatever somebody says', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STOPPING' }));
    expect(await scene.deliver(closeStop, endedEvent(stopping('cancelled')))).toEqual([]);
    expect(scene.ignored).toEqual(['run_has_not_ended']);
  });
});

describe('a report that is stored while the stop of a lost run is being closed', () => {
  it('still counts: the record is closed first and looked at again', async () => {
    const scene = aScene();
    const task = await scene.has(stopping('lost'));
    await scene.hasRun(aRunRecord({ claim: aClaim() }));
    const signal = { taskId: task.taskId, attempt: 1, nativeId: aClaim().nativeId };
    const tasks = tasksOver({
      store: scene.store,
      alarms: { arm: async () => undefined },
      // The runner's report arrives between the look at the record and its closing.
      runs: {
        ...scene.runs,
        close: async (taskId, attempt) => {
          await scene.runs.report(signal, aReport());
          await scene.runs.close(taskId, attempt);
        },
      },
      clock: scene.clock,
      timings: () => testTimings,
    });
    expect(typesOf(await scene.deliver(closeStop, endedEvent(task), { instead: { tasks } }))).toEqual([
      'TaskCompleted',
    ]);
    expect((await scene.task())?.status).toBe('COMPLETED');
  });
});

import { describe, expect, it } from '@jest/globals';
import { observeEcsTask } from '../../handlers/observe-ecs-task.ts';
import { aClaim, aHandle, anArn, anEcsEvent, aReport, aRunRecord, aTask, at } from '../builders.ts';
import { aScene, typesOf } from './scene.ts';

const stopped = { lastStatus: 'STOPPED' } as const;

describe('a starting task', () => {
  it('runs when ECS says so, and learns its handle', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STARTING' }));
    expect(typesOf(await scene.deliver(observeEcsTask, anEcsEvent()))).toEqual(['RunStarted']);
    expect(await scene.task()).toMatchObject({ status: 'RUNNING', run: { handle: aHandle(), seen: { [anArn()]: 3 } } });
  });

  it('told three times runs once, whatever envelope it came in', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STARTING' }));
    expect(typesOf(await scene.deliver(observeEcsTask, anEcsEvent()))).toEqual(['RunStarted']);
    expect(await scene.deliver(observeEcsTask, anEcsEvent())).toEqual([]);
    expect(await scene.deliver(observeEcsTask, anEcsEvent())).toEqual([]);
    expect(scene.duplicates()).toBe(2);
  });

  // F1
  it('that never came up is lost when the late news comes', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STARTING' }));
    scene.pass(1800);
    const told = await scene.deliver(
      observeEcsTask,
      anEcsEvent({ ...stopped, stopCode: 'TaskFailedToStart', containers: [], stoppedReason: 'no image' }),
    );
    expect(typesOf(told)).toEqual(['RunEnded']);
    expect(await scene.task()).toMatchObject({
      status: 'STOPPING',
      intent: 'lost',
      reason: { code: 'never_started', message: 'no image' },
    });
  });
});

describe('a running task', () => {
  it('completes on its exit when the report is there', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim(), report: aReport() }));
    expect(typesOf(await scene.deliver(observeEcsTask, anEcsEvent(stopped)))).toEqual(['TaskCompleted']);
    expect(await scene.task()).toMatchObject({
      status: 'COMPLETED',
      detectedBy: 'event',
      run: { ended: { exitCode: 0 } },
    });
  });

  // F2
  it.each(['before', 'after'])('is judged by its agent alone, with sidecars told %s it', async (where) => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim(), report: aReport() }));
    const sidecars = [
      { name: 'aws-guardduty-agent-AbCd', cpu: 'null', lastStatus: 'STOPPED' },
      { name: 'log_router', exitCode: 139, reason: 'OutOfMemoryError: Container killed due to memory usage' },
    ];
    const agent = { name: 'agent', exitCode: 0 };
    const containers = where === 'before' ? [...sidecars, agent] : [agent, ...sidecars];
    await scene.deliver(observeEcsTask, anEcsEvent({ ...stopped, containers }));
    expect(await scene.task()).toMatchObject({ status: 'COMPLETED', run: { ended: { exitCode: 0 } } });
  });

  it('is lost when it needed more memory than it had, in the words of ECS', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim() }));
    const reason = 'OutOfMemoryError: Container killed due to memory usage';
    const containers = [{ name: 'agent', exitCode: 137, reason }];
    expect(typesOf(await scene.deliver(observeEcsTask, anEcsEvent({ ...stopped, containers })))).toEqual(['RunEnded']);
    expect(await scene.task()).toMatchObject({
      status: 'STOPPING',
      intent: 'lost',
      reason: { code: 'out_of_memory', message: expect.stringContaining(reason) },
    });
  });

  it('waits for its report when that is not there', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim() }));
    expect(typesOf(await scene.deliver(observeEcsTask, anEcsEvent(stopped)))).toEqual(['RunExited']);
    expect(await scene.task()).toMatchObject({ status: 'FINALIZING', due: { report: at(5) } });
  });

  it('ends once, however often its end is told', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim(), report: aReport() }));
    expect(await scene.thrice(observeEcsTask, anEcsEvent(stopped))).toEqual([['TaskCompleted'], [], []]);
  });

  it('does not go back when news comes in the wrong order', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STARTING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim() }));
    await scene.deliver(observeEcsTask, anEcsEvent(stopped));
    expect(await scene.deliver(observeEcsTask, anEcsEvent({ version: 3 }))).toEqual([]);
    expect((await scene.task())?.status).toBe('FINALIZING');
    expect(scene.ignored).toEqual(['stale']);
  });
});

describe('news that means nothing', () => {
  it.each([
    // F29
    ['an unknown status', { lastStatus: 'HIBERNATING', stopCode: 'New' }, 'unknown lastStatus "HIBERNATING"'],
    ["somebody else's task", { startedBy: 'baton/test/other' }, 'not started by Baton: startedBy "baton/test/other"'],
    ['a task that is not known', { startedBy: 'baton/test/tnever00000000000000000000/1' }, 'unknown_task'],
  ])('of %s is noted and ignored', async (_, fields, reason) => {
    const scene = aScene();
    const task = await scene.has(aTask({ status: 'RUNNING' }));
    expect(await scene.deliver(observeEcsTask, anEcsEvent(fields))).toEqual([]);
    expect(scene.ignored).toEqual([reason]);
    expect(await scene.task()).toEqual(task);
  });

  it.each([
    [
      'a word that is new',
      { stopCode: 'TaskFailedToStart', containers: [], stoppedReason: 'QuantumError: both' },
      'QuantumError',
    ],
    ['no stop code', { stopCode: undefined, containers: [], stoppedReason: 'nothing that is known' }, 'no stopCode'],
    ['a container of another name', { containers: [{ name: 'main', exitCode: 0 }] }, 'no container is named "agent"'],
  ])('in part, for %s, is judged and noted for people', async (_, fields, noted) => {
    const scene = aScene();
    await scene.has(aTask({ status: 'STARTING' }));
    await scene.deliver(observeEcsTask, anEcsEvent({ ...stopped, ...fields } as Parameters<typeof anEcsEvent>[0]));
    expect(scene.ignored).toEqual([expect.stringContaining(noted)]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'lost', run: { ended: {} } });
    const told = 'stoppedReason' in fields ? fields.stoppedReason : 'Essential container in task exited';
    expect((await scene.task()) as object).toMatchObject({ reason: { message: expect.stringContaining(told) } });
  });

  it('because its stop code is new is noted, and judged by what is known', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'RUNNING' }));
    await scene.hasRun(aRunRecord({ claim: aClaim() }));
    await scene.deliver(observeEcsTask, anEcsEvent({ ...stopped, stopCode: 'QuantumFlip' }));
    expect(scene.ignored).toEqual(['unknown stopCode "QuantumFlip"']);
    expect((await scene.task())?.status).toBe('FINALIZING');
  });
});

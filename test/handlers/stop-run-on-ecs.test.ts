import { describe, expect, it } from '@jest/globals';
import { runStopRequested } from '../../events/run-stop-requested.ts';
import { stopRunOnEcs } from '../../handlers/stop-run-on-ecs.ts';
import { stopFact } from '../../lifecycle/judge.ts';
import { ComputeError } from '../../runtime/errors.ts';
import { because } from '../../schemas/reason.ts';
import type { TaskRun } from '../../schemas/task.ts';
import { aHandle, anEvent, aRun, aRunRecord, aTask, aTaskId, at, testTimings } from '../builders.ts';
import { BASE_DEFINITION } from '../definitions-twin.ts';
import { aScene, typesOf } from './scene.ts';

const reason = because('cancelled', 'Enough.');
const [one, two] = [aHandle('twin-1'), aHandle('twin-2')];
const ask = (run: Pick<TaskRun, 'startedBy' | 'handle'>) =>
  anEvent(stopFact(aTask({ status: 'STOPPING' }), run, reason), { version: 6 });

/** A task that is being stopped, with a real run behind it; `run` is what the task knows of that. */
async function sceneOfAStop(run: TaskRun = aRun({ handle: one })) {
  const scene = aScene();
  await scene.has(aTask({ status: 'STOPPING', run }));
  await scene.hasRun(aRunRecord());
  await scene.compute.backend.start({
    taskId: aTaskId(),
    attempt: 1,
    startedBy: run.startedBy,
    clientToken: 'token',
    environment: {},
    command: ['run'],
    definition: BASE_DEFINITION,
    capacityProvider: 'FARGATE',
    tags: {},
  });
  const [started] = scene.compute.runs;
  if (!started) throw new Error('expected a run');
  scene.compute.run(started);
  scene.compute.calls.length = 0;
  return { scene, run, started };
}

describe('a run that must end', () => {
  it('is stopped by its handle alone', async () => {
    const { scene, run } = await sceneOfAStop();
    const told = await scene.deliver(stopRunOnEcs, ask(run));
    expect(told).toMatchObject([
      { 'detail-type': 'RunStopAnswered', detail: { data: { outcome: 'stopping', nativeId: one.taskArn } } },
    ]);
    expect(scene.compute.calls).toEqual([`stop ${one.taskArn}`]);
    const task = await scene.task();
    expect(task).toMatchObject({ status: 'STOPPING', run: { stopRequests: 1 } });
    // ECS tells of the end: nothing is looked at before the stop is to be repeated.
    expect(task?.due.stop).toBe(at(testTimings.STOP_RETRY_S));
  });

  // A23
  it.each(['stopping', 'already_ended', 'not_found'] as const)(
    'has the answer %s told as an event',
    async (outcome) => {
      const { scene, run } = await sceneOfAStop();
      const instead = { ecs: { ...scene.ecs, stop: async () => outcome } };
      const told = await scene.deliver(stopRunOnEcs, ask(run), { instead });
      expect(told.filter((fact) => fact['detail-type'] === 'RunStopAnswered')).toMatchObject([
        { detail: { data: { compute: 'ecs', outcome, nativeId: one.taskArn } } },
      ]);
    },
  );

  it.each([
    ['compute_throttled', 'soon'],
    ['compute_denied', 'never'],
  ] as const)('and is not stopped says so as an error: %s', async (code, retry) => {
    const { scene, run } = await sceneOfAStop();
    scene.compute.failNext(new ComputeError(code, 'no'));
    await expect(scene.deliver(stopRunOnEcs, ask(run))).rejects.toMatchObject({ code, retry });
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', run: { handle: one } });
  });

  it('is stopped from the stored handle when the request brings none', async () => {
    const { scene, run } = await sceneOfAStop();
    await scene.deliver(stopRunOnEcs, ask({ startedBy: run.startedBy }));
    expect(scene.compute.calls[0]).toBe(`stop ${one.taskArn}`);
  });

  it('told three times stops, and the end is told under one id', async () => {
    const { scene, run } = await sceneOfAStop();
    const event = ask(run);
    const told = [];
    for (let n = 0; n < 3; n++) told.push(...(await scene.deliver(stopRunOnEcs, event)));
    expect(new Set(told.filter((fact) => fact['detail-type'] === 'RunEnded').map(({ id }) => id)).size).toBe(1);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', run: { ended: { proof: 'proven' } } });
  });

  it('and has ended already is judged at once', async () => {
    const { scene, run, started } = await sceneOfAStop();
    scene.compute.exit(started, 0);
    expect(typesOf(await scene.deliver(stopRunOnEcs, ask(run)))).toEqual(['RunStopAnswered', 'RunEnded']);
  });

  // F15
  it('and whose handle was lost is found by its name and stopped', async () => {
    const { scene, run } = await sceneOfAStop(aRun());
    await scene.deliver(stopRunOnEcs, ask(run));
    expect(scene.compute.calls).toEqual([`ask ${run.startedBy}`, `stop ${one.taskArn}`]);
    expect(await scene.task()).toMatchObject({ run: { handle: one } });
  });

  it('and has a twin that claimed is stopped with it', async () => {
    const { scene, run, started } = await sceneOfAStop();
    scene.compute.duplicate(started);
    await scene.hasRun(aRunRecord({ claim: { nativeId: two.taskArn, at: run.dispatchedAt } }));
    await scene.deliver(stopRunOnEcs, ask(run));
    expect(scene.compute.calls).toEqual(expect.arrayContaining([`stop ${one.taskArn}`, `stop ${two.taskArn}`]));
  });

  it('and cannot be found is waited for, then counts as never started', async () => {
    const { scene, run } = await sceneOfAStop(aRun());
    scene.compute.forget();
    expect(await scene.deliver(stopRunOnEcs, ask(run))).toEqual([]);
    expect(scene.ignored).toContain('start_may_still_show');
    scene.pass(10);
    expect(await scene.deliver(stopRunOnEcs, ask(run))).toMatchObject([
      { 'detail-type': 'RunEnded', detail: { data: { proof: 'never_started' } } },
    ]);
  });

  it('is asked for again when the back end does not answer', async () => {
    const { scene, run } = await sceneOfAStop();
    scene.compute.failNext(new ComputeError('compute_unavailable', 'No answer'));
    await expect(scene.deliver(stopRunOnEcs, ask(run))).rejects.toMatchObject({ retry: 'soon' });
    expect((await scene.task())?.status).toBe('STOPPING');
    await scene.deliver(stopRunOnEcs, ask(run), { tries: 2 });
    expect(scene.compute.runs[0]?.phase).toBe('ended');
  });

  it('is not stopped by a replay', async () => {
    const { scene, run } = await sceneOfAStop();
    await scene.deliver(stopRunOnEcs, { ...ask(run), 'replay-name': 'again' });
    expect(scene.compute.calls).toEqual([]);
  });
});

// F26
describe('a stop that comes late', () => {
  it('does not reach the run of the next attempt', async () => {
    const { scene, started } = await sceneOfAStop(aRun({ attempt: 2, handle: one }));
    const task = await scene.has(aTask({ status: 'RUNNING', attempt: 2, run: aRun({ attempt: 2, handle: one }) }));
    scene.pass(60);
    await scene.deliver(stopRunOnEcs, ask(aRun()));
    expect(started.phase).toBe('running');
    expect(await scene.task()).toEqual(task);
  });
});

describe('a stray run', () => {
  it('is stopped alone, and its task is not touched', async () => {
    const { scene } = await sceneOfAStop();
    const task = await scene.has(aTask({ status: 'RUNNING', attempt: 2 }));
    const event = anEvent(runStopRequested.of({ compute: 'ecs', startedBy: '', handle: one, reason }));
    expect(typesOf(await scene.deliver(stopRunOnEcs, event))).toEqual(['RunStopAnswered']);
    expect(scene.compute.calls).toEqual([`stop ${one.taskArn}`]);
    expect(await scene.task()).toEqual(task);
  });
});

import { describe, expect, it } from '@jest/globals';
import { runCheckRequested } from '../../events/run-check-requested.ts';
import { checkRunOnEcs } from '../../handlers/check-run-on-ecs.ts';
import { ComputeError } from '../../runtime/errors.ts';
import { aHandle, anEvent, aRun, aRunRecord, aTask, aTaskId } from '../builders.ts';
import { BASE_DEFINITION } from '../definitions-twin.ts';
import { aScene, typesOf } from './scene.ts';

const run = aRun();
const check = () => anEvent(runCheckRequested.of({ compute: 'ecs', startedBy: run.startedBy, purpose: 'start' }));

async function sceneOfAnOverdueStart() {
  const scene = aScene();
  await scene.has(aTask({ status: 'STARTING' }));
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
  return { scene, started };
}

describe('an overdue start', () => {
  it('whose run is found alive runs', async () => {
    const { scene, started } = await sceneOfAnOverdueStart();
    scene.compute.run(started);
    expect(typesOf(await scene.deliver(checkRunOnEcs, check()))).toEqual(['RunStarted']);
    expect(await scene.task()).toMatchObject({ status: 'RUNNING', run: { handle: aHandle('twin-1') } });
  });

  it('whose run still starts keeps its handle and waits on', async () => {
    const { scene } = await sceneOfAnOverdueStart();
    expect(await scene.deliver(checkRunOnEcs, check())).toEqual([]);
    expect(await scene.task()).toMatchObject({ status: 'STARTING', run: { handle: aHandle('twin-1') } });
  });

  it('whose run has ended is judged', async () => {
    const { scene, started } = await sceneOfAnOverdueStart();
    scene.compute.exit(started, 1);
    expect(typesOf(await scene.deliver(checkRunOnEcs, check()))).toEqual(['RunEnded']);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', reason: { code: 'exited_before_claim' } });
  });

  it('that is not found may still show itself, and is lost later', async () => {
    const { scene } = await sceneOfAnOverdueStart();
    scene.compute.forget();
    expect(await scene.deliver(checkRunOnEcs, check())).toEqual([]);
    expect((await scene.task())?.status).toBe('STARTING');
    scene.pass(10);
    expect(typesOf(await scene.deliver(checkRunOnEcs, check()))).toEqual(['RunEnded']);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', reason: { code: 'start_lost' } });
  });

  it('asked about three times is judged once', async () => {
    const { scene, started } = await sceneOfAnOverdueStart();
    scene.compute.run(started);
    expect(await scene.thrice(checkRunOnEcs, check())).toEqual([['RunStarted'], [], []]);
  });

  // A18
  it('stays as it is when the back end does not answer', async () => {
    const { scene } = await sceneOfAnOverdueStart();
    scene.compute.failNext(new ComputeError('compute_unavailable', 'No answer'));
    await expect(scene.deliver(checkRunOnEcs, check())).rejects.toMatchObject({ code: 'compute_unavailable' });
    expect((await scene.task())?.status).toBe('STARTING');
  });
});

// F26
describe('a question about an attempt that is over', () => {
  it('judges nothing of the next one', async () => {
    const { scene } = await sceneOfAnOverdueStart();
    scene.compute.forget();
    const task = await scene.has(aTask({ status: 'STARTING', attempt: 2, run: aRun({ attempt: 2 }) }));
    scene.pass(60);
    expect(await scene.deliver(checkRunOnEcs, check())).toEqual([]);
    expect(await scene.task()).toEqual(task);
  });
});

describe('a task without a run', () => {
  it('has nobody asked', async () => {
    const scene = aScene();
    await scene.has(aTask({ status: 'BACKOFF' }));
    expect(await scene.deliver(checkRunOnEcs, check())).toEqual([]);
    expect(scene.compute.calls).toEqual([]);
  });
});

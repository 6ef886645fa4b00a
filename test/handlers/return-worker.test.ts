import { beforeEach, describe, expect, it } from '@jest/globals';
import { runEnded } from '../../events/run-ended.ts';
import { runOrphaned } from '../../events/run-orphaned.ts';
import { heedTermination } from '../../handlers/heed-termination.ts';
import { returnWorker } from '../../handlers/return-worker.ts';
import { eventPatternOf } from '../../rules/event-pattern.ts';
import { compilePattern } from '../../runtime/matcher.ts';
import { workerRunId } from '../../schemas/ssm-command.ts';
import { anEvent, aTaskId } from '../builders.ts';
import { aFleetScene, hookEvent, workerNo } from './fleet-scene.ts';
import { typesOf } from './scene.ts';

type Scene = Awaited<ReturnType<typeof aFleetScene>>;
let scene: Scene;
beforeEach(async () => {
  scene = await aFleetScene();
});
const ended = (proof: 'given_up' | 'never_started', attempt = 1) =>
  anEvent(runEnded.of({ compute: 'ec2', status: 'STOPPING', proof }), { taskId: aTaskId(), attempt });

describe('the worker of a run', () => {
  it('that was given up is out of its fleet, and that is said as often as this comes', async () => {
    await scene.starting();
    const told = await scene.thrice(returnWorker, ended('given_up'));
    expect(told).toEqual(Array.from({ length: 3 }, () => ['WorkerQuarantined']));
    expect(await scene.stateOf()).toBe('quarantined');
  });

  it('that was given up is said to be out although its task has gone on since', async () => {
    await scene.starting();
    await scene.deliver(heedTermination, hookEvent('terminate', workerNo(5)));
    const [stop] = await scene.deliver(heedTermination, hookEvent('terminate'));
    expect(stop).toMatchObject({ 'detail-type': 'RunStopRequested' });
    const { leaving: _staying, ...worker } = (await scene.workers.get(workerNo(0))) as { leaving?: object };
    await scene.store.put(`WORKER#${workerNo(0)}`, worker, 'any');
    const task = await scene.task();
    if (task?.status !== 'STOPPING') throw new Error(`the task is ${task?.status}`);
    const { run: _of_before, intent: _lost, reason: _why, ...rest } = task;
    await scene.has({ ...rest, status: 'HYDRATED', attempt: 2, input: 'ref' } as never);
    expect(typesOf(await scene.deliver(returnWorker, ended('given_up')))).toEqual(['WorkerQuarantined']);
    // Of another attempt it is nothing.
    expect(await scene.deliver(returnWorker, ended('given_up', 2))).toEqual([]);
    expect(scene.ignored.at(-1)).toBe('no_worker_was_given');
  });

  // F12: of one that is given up while its task stops, nothing but this is said.
  it.each([true, false])('of a run that may live on is out of its fleet; the run is named: %s', async (isNamed) => {
    const { owner } = await scene.starting();
    const nativeId = isNamed ? { nativeId: workerRunId({ instanceId: workerNo(0), ...owner }) } : {};
    const orphaned = anEvent(
      runOrphaned.of({
        compute: 'ec2',
        startedBy: `baton/test/${owner.taskId}/1`,
        message: 'Look for it.',
        ...nativeId,
      }),
      owner,
    );
    expect(await scene.thrice(returnWorker, orphaned)).toEqual(Array.from({ length: 3 }, () => ['WorkerQuarantined']));
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ reason: { code: 'end_unproven' }, owner });
  });

  it('is heard of when nothing was proven, or nothing began, and else not', () => {
    const heard = (fact: Parameters<typeof anEvent>[0]) => hears(anEvent(fact, ids));
    const hears = compilePattern(eventPatternOf(returnWorker.rule));
    const ids = { taskId: aTaskId(), attempt: 1 };
    const lost = { startedBy: 's', message: 'm' };
    expect(heard(runOrphaned.of({ compute: 'ec2', ...lost }))).toBe(true);
    expect(heard(runOrphaned.of({ compute: 'ecs', ...lost }))).toBe(false);
    for (const proof of ['given_up', 'never_started', 'proven'] as const) {
      expect(heard(runEnded.of({ compute: 'ec2', status: 'STOPPING', proof }))).toBe(proof !== 'proven');
    }
  });

  it('that never began is free again, and its machine may be taken', async () => {
    await scene.starting();
    expect((await scene.thrice(returnWorker, ended('never_started'))).flat()).toEqual([]);
    expect(await scene.stateOf()).toBe('idle');
    expect(scene.scaling.isKept(workerNo(0))).toBe(false);
  });

  it('that could not be given back is found although its task names it no more', async () => {
    const { owner } = await scene.hydrated();
    await scene.workers.claim('main', owner);
    await scene.workers.dispatch(workerNo(0), owner);
    await scene.deliver(
      returnWorker,
      anEvent(runEnded.of({ compute: 'ec2', status: 'STOPPING', proof: 'never_started' }), owner),
    );
    expect(await scene.stateOf()).toBe('idle');
  });

  it('of another by now is left to it', async () => {
    await scene.starting();
    await scene.deliver(returnWorker, ended('never_started'));
    const next = { taskId: aTaskId('green'), attempt: 1 };
    expect(await scene.ec2.claim('main', next)).toBe(workerNo(0));
    await scene.deliver(returnWorker, ended('never_started'));
    await scene.deliver(returnWorker, ended('given_up'));
    expect(await scene.workers.get(workerNo(0))).toMatchObject({ state: 'claimed', owner: next });
    const [keep, letGo] = [`keep ${workerNo(0)}`, `let go ${workerNo(0)}`];
    expect(scene.scaling.calls).toEqual([keep, letGo, keep]);
  });
});

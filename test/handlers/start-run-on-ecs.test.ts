import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { checkRunOnEcs } from '../../handlers/check-run-on-ecs.ts';
import { closeStop } from '../../handlers/close-stop.ts';
import { observeEcsTask } from '../../handlers/observe-ecs-task.ts';
import { startRunOnEcs } from '../../handlers/start-run-on-ecs.ts';
import { wakeTask } from '../../handlers/wake-task.ts';
import { ComputeError } from '../../runtime/errors.ts';
import type { StartRun } from '../../runtime/ports.ts';
import { alarmId } from '../../runtime/tasks.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { because } from '../../schemas/reason.ts';
import { aHandle, anEcsEvent, anEvent, aRequest, aRunRecord, aTask, aTaskId, at } from '../builders.ts';
import { aScene, latestEvent } from './scene.ts';

async function sceneOfAHydrated() {
  const scene = aScene();
  const task = await scene.has(aTask({ status: 'HYDRATED' }));
  await scene.hasRun(aRunRecord());
  return { scene, task, event: latestEvent(task) };
}

describe('a hydrated task', () => {
  it('moves to STARTING, then its run is started, and the handle is kept', async () => {
    const { scene, event } = await sceneOfAHydrated();
    expect(await scene.deliver(startRunOnEcs, event)).toEqual([]);
    expect(await scene.task()).toMatchObject({
      status: 'STARTING',
      run: { attempt: 1, startedBy: `baton/test/${aTaskId()}/1`, dispatchedAt: at(0), handle: aHandle('twin-1') },
    });
  });

  // A5, A6, A7
  it('starts a batch command that finds its payload by reference', async () => {
    const { scene, event, task } = await sceneOfAHydrated();
    await scene.deliver(startRunOnEcs, event);
    expect(scene.compute.runs[0]?.asked).toEqual({
      taskId: aTaskId(),
      attempt: 1,
      startedBy: `baton/test/${aTaskId()}/1`,
      clientToken: `${aTaskId()}-1`,
      environment: { BATON_TASK_ID: aTaskId(), BATON_ATTEMPT: '1', BATON_PAYLOAD: task.input },
      command: ['run'],
    });
  });

  // F19
  it('has its alarm set before the back end is called', async () => {
    const { scene, event } = await sceneOfAHydrated();
    let armedBefore: string[] = [];
    const start: typeof scene.ecs.start = async (run) => {
      armedBefore = [...scene.armed];
      return scene.ecs.start(run);
    };
    await scene.deliver(startRunOnEcs, event, { instead: { ecs: { ...scene.ecs, start } } });
    expect(armedBefore).toContain(at(21));
  });

  it('told three times starts one run, with one call', async () => {
    const { scene, event } = await sceneOfAHydrated();
    expect(await scene.thrice(startRunOnEcs, event)).toEqual([[], [], []]);
    expect(scene.compute.calls).toEqual([`start ${aTaskId()}-1`]);
  });

  it('that has moved on is not started', async () => {
    const { scene, event } = await sceneOfAHydrated();
    await scene.has(aTask({ status: 'CANCELLED' }));
    await scene.deliver(startRunOnEcs, event);
    expect(scene.compute.calls).toEqual([]);
  });

  it('is not started by a replay', async () => {
    const { scene, event } = await sceneOfAHydrated();
    await scene.deliver(startRunOnEcs, { ...event, 'replay-name': 'again' });
    expect(scene.compute.calls).toEqual([]);
    expect((await scene.task())?.status).toBe('HYDRATED');
  });
});

describe('a start whose answer never came', () => {
  it('is repeated by the retry, and starts the same run', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.compute.failNext(new ComputeError('compute_throttled', 'Rate exceeded'));
    await expect(scene.deliver(startRunOnEcs, event)).rejects.toMatchObject({ retry: 'soon' });
    await scene.deliver(startRunOnEcs, event, { tries: 2 });
    expect(scene.compute.runs).toHaveLength(1);
    expect(await scene.task()).toMatchObject({ status: 'STARTING', run: { handle: aHandle('twin-1') } });
  });

  // X8
  it('is repeated under the same token, and says that it is a repetition', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const asked: StartRun[] = [];
    const start: typeof scene.ecs.start = async (run) => {
      asked.push(run);
      throw new ComputeError('compute_unavailable', 'No answer');
    };
    const instead = { ecs: { ...scene.ecs, start } };
    await expect(scene.deliver(startRunOnEcs, event, { instead })).rejects.toThrow();
    await expect(scene.deliver(startRunOnEcs, event, { instead, tries: 2 })).rejects.toThrow();
    const [first, second] = asked;
    expect(first?.repeats).toBeUndefined();
    expect(second).toEqual({ ...first, repeats: true });
  });

  // F19, A25
  it('and never comes is found out by asking, and ends the task once', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.compute.failStarts(new ComputeError('compute_unavailable', 'No answer'));
    for (const tries of [1, 2, 3]) await expect(scene.deliver(startRunOnEcs, event, { tries })).rejects.toThrow();
    scene.pass(21);
    const due = at(21);
    const rang = anEvent(alarmRang.of({ taskId: aTaskId(), at: due }), { id: alarmId(aTaskId(), due) });
    const [asked] = await scene.deliver(wakeTask, rang);
    const [ended] = await scene.deliver(checkRunOnEcs, asked as BatonEvent);
    expect(await scene.thrice(closeStop, ended as BatonEvent)).toEqual([['RunLost'], [], []]);
    expect(await scene.task()).toMatchObject({ status: 'BACKOFF', reason: { code: 'start_lost' } });
  });

  it('is not repeated by an ordinary duplicate', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.compute.failNext(new ComputeError('compute_throttled', 'Rate exceeded'));
    await expect(scene.deliver(startRunOnEcs, event)).rejects.toThrow();
    await scene.deliver(startRunOnEcs, event);
    expect(scene.compute.runs).toHaveLength(0);
  });

  it('is not repeated when the run has shown itself', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.compute.failNext(new ComputeError('compute_unavailable', 'No answer'));
    await expect(scene.deliver(startRunOnEcs, event)).rejects.toThrow();
    await scene.deliver(observeEcsTask, anEcsEvent());
    await scene.deliver(startRunOnEcs, event, { tries: 2 });
    expect(scene.compute.calls).toHaveLength(1);
  });
});

// A25
describe('a start that is refused', () => {
  it('takes one way: STOPPING, whose end is known already', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const start = async () => ({ outcome: 'refused' as const, reason: because('start_refused', 'No such cluster') });
    const instead = { ecs: { ...scene.ecs, start } };
    const told = await scene.deliver(startRunOnEcs, event, { instead });
    expect(told).toMatchObject([
      { 'detail-type': 'RunEnded', detail: { data: { proof: 'never_started', status: 'STOPPING' } } },
    ]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'start_refused' } });
    expect(await scene.deliver(startRunOnEcs, event, { instead })).toEqual([]);
  });
});

describe('a task that is cancelled while its start is under way', () => {
  it('has its run stopped on arrival, and keeps the status of the cancel', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const start: typeof scene.ecs.start = async (run) => {
      const answer = await scene.ecs.start(run);
      await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: aTaskId() }));
      return answer;
    };
    const told = await scene.deliver(startRunOnEcs, event, { instead: { ecs: { ...scene.ecs, start } } });
    // A23: what came of the stop is told.
    expect(told).toMatchObject([
      {
        'detail-type': 'RunStopAnswered',
        detail: { data: { outcome: 'stopping', nativeId: aHandle('twin-1').taskArn } },
      },
    ]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'cancelled' });
    expect(scene.compute.calls).toContain(`stop ${aHandle('twin-1').taskArn}`);
    expect(await scene.record()).toMatchObject({ strayHandle: aHandle('twin-1'), noClaim: true });
  });
});

// A start that was refused although an earlier call of it, still on its way, starts the run after all.
describe('a run that starts behind the back of its refusal', () => {
  const refused = async () => ({ outcome: 'refused' as const, reason: because('no_capacity', 'RESOURCE:CPU') });

  it('is not believed when it had shown itself before', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const start: typeof scene.ecs.start = async () => {
      await scene.deliver(observeEcsTask, anEcsEvent({ lastStatus: 'PENDING', version: 2 }));
      return refused();
    };
    await scene.deliver(startRunOnEcs, event, { instead: { ecs: { ...scene.ecs, start } } });
    expect(await scene.task()).toMatchObject({ status: 'STARTING', run: { handle: aHandle() } });
    expect(scene.ignored).toContain('start_was_answered_already');
  });

  it('is stopped on arrival, and may not claim', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const [ended] = await scene.deliver(startRunOnEcs, event, { instead: { ecs: { ...scene.ecs, start: refused } } });
    await scene.deliver(closeStop, ended as BatonEvent);
    expect(await scene.task()).toMatchObject({ status: 'BACKOFF', reason: { code: 'no_capacity' } });

    const told = await scene.deliver(observeEcsTask, anEcsEvent());
    expect(told).toMatchObject([{ 'detail-type': 'RunStopRequested', detail: { data: { handle: aHandle() } } }]);
    expect(await scene.runs.claim({ taskId: aTaskId(), attempt: 1, nativeId: aHandle().taskArn })).toBe('fenced');
  });
});

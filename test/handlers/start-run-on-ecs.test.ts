import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { checkRunOnEcs } from '../../handlers/check-run-on-ecs.ts';
import { closeStop } from '../../handlers/close-stop.ts';
import { observeEcsTask } from '../../handlers/observe-ecs-task.ts';
import { startRunOnEcs } from '../../handlers/start-run-on-ecs.ts';
import { wakeTask } from '../../handlers/wake-task.ts';
import { askedAgainAt } from '../../lifecycle/timings.ts';
import { ComputeError } from '../../runtime/errors.ts';
import type { StartEcsRun, StartRun } from '../../runtime/ports.ts';
import { alarmId } from '../../runtime/tasks.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { because } from '../../schemas/reason.ts';
import type { RepositoryConfig } from '../../schemas/repository-config.ts';
import type { UserTerms } from '../../schemas/task-definition.ts';
import { aHandle, anEcsEvent, anEvent, aRequest, aRunRecord, aTask, aTaskId, at, testTimings } from '../builders.ts';
import { BASE_DEFINITION } from '../definitions-twin.ts';
import { aScene, latestEvent, typesOf } from './scene.ts';

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
      definition: BASE_DEFINITION,
      capacityProvider: 'FARGATE',
      tags: { 'baton:stage': 'test', 'baton:task': aTaskId(), 'baton:attempt': '1' },
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

  // F23: a redrive after the client token was forgotten.
  it('that has moved on is not started', async () => {
    const { scene, event } = await sceneOfAHydrated();
    await scene.has(aTask({ status: 'CANCELLED' }));
    await scene.deliver(startRunOnEcs, event);
    expect(scene.compute.calls).toEqual([]);
  });

  // F23
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

describe('the task definition of a start', () => {
  const name = 'https://example.com/app';
  const isolated = { isolation: 'per-user' as const, configuration: name, capacity: 'spot-first' as const };
  const later = { outcome: 'later' as const, message: 'Rate exceeded' };

  async function sceneOfAUser(users: Record<string, UserTerms>) {
    const scene = aScene();
    const task = await scene.has({ ...aTask({ status: 'HYDRATED' }), ...isolated });
    await scene.hasRun(aRunRecord());
    let sets = 0;
    const configure = (config: RepositoryConfig | null) =>
      scene.configurations.set(name, config, { id: `c${++sets}`, at: at(sets) });
    await configure({ isolation: 'per-user', users });
    return { scene, event: latestEvent(task), configure };
  }

  // T3, T9
  it('is looked up anew for each attempt, and the task keeps it', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.taskDefinitions.answers({ outcome: 'ready', arn: 'arn:of:the:newest' });
    await scene.deliver(startRunOnEcs, event);
    expect(scene.taskDefinitions.asked).toEqual(['base']);
    expect(await scene.task()).toMatchObject({ run: { definition: 'arn:of:the:newest' } });
    expect(scene.compute.runs[0]?.asked.definition).toBe('arn:of:the:newest');
  });

  // One client token, one task: ECS compares what is asked for.
  it('is the same at every try of one attempt, whatever was deployed meanwhile', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const asked: StartEcsRun[] = [];
    const start: typeof scene.ecs.start = async (run) => {
      asked.push(run);
      throw new ComputeError('compute_unavailable', 'No answer');
    };
    const instead = { ecs: { ...scene.ecs, start } };
    await expect(scene.deliver(startRunOnEcs, event, { instead })).rejects.toThrow();
    scene.taskDefinitions.answers({ outcome: 'ready', arn: 'arn:of:another' });
    await expect(scene.deliver(startRunOnEcs, event, { instead, tries: 2 })).rejects.toThrow();
    expect(asked[1]).toEqual({ ...asked[0], repeats: true });
    expect(scene.taskDefinitions.asked).toHaveLength(1);
  });

  it('is that of the user, with the terms as they are now', async () => {
    const { scene, event, configure } = await sceneOfAUser({ ada: {} });
    const terms: UserTerms = { size: { cpu: 2048, memory: 4096 } };
    await configure({ isolation: 'per-user', users: { ada: terms } });
    await scene.deliver(startRunOnEcs, event);
    expect(scene.taskDefinitions.asked).toEqual([{ userId: 'ada', configuration: name, terms, by: `${aTaskId()}/1` }]);
    expect(scene.compute.runs[0]?.asked).toMatchObject({ capacityProvider: 'FARGATE_SPOT' });
  });

  it.each<[string, Record<string, UserTerms> | null, string]>([
    ['is not in it any more', { bob: {} }, `${name}" says nothing of "ada" any more`],
    ['has lost it altogether', null, `${name}", which is gone`],
  ])('is refused to a user who %s, and nothing starts', async (_why, users, told) => {
    const { scene, event, configure } = await sceneOfAUser({ ada: {} });
    await configure(users && { isolation: 'per-user', users });
    expect(typesOf(await scene.deliver(startRunOnEcs, event))).toEqual(['TaskFailed']);
    const reason = { code: 'definition_refused', message: expect.stringContaining(told) };
    expect(await scene.task()).toMatchObject({ status: 'FAILED', reason });
    expect(scene.compute.calls).toEqual([]);
    expect(scene.taskDefinitions.asked).toEqual([]);
  });

  // T7
  it('that is refused fails the task with what to do, once', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const reason = because('definition_refused', 'Deploy the infrastructure again.');
    scene.taskDefinitions.answers({ outcome: 'refused', reason });
    expect(await scene.thrice(startRunOnEcs, event)).toEqual([['TaskFailed'], [], []]);
    expect(await scene.task()).toMatchObject({ status: 'FAILED', reason });
    expect(scene.compute.calls).toEqual([]);
  });

  it('that is not ready puts the start off, says why, and is asked for when the alarm rings', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.taskDefinitions.answers(later);
    const due = askedAgainAt({ taskId: aTaskId(), since: at(0) }, at(0), testTimings);
    expect(await scene.deliver(startRunOnEcs, event)).toEqual([]);
    expect(await scene.task()).toMatchObject({
      status: 'HYDRATED',
      due: { step: due },
      delay: { at: at(0), message: 'Rate exceeded' },
    });
    expect(scene.ignored).toContain('definition_is_not_ready: Rate exceeded');
    expect(scene.compute.calls).toEqual([]);

    scene.pass(9);
    const rang = anEvent(alarmRang.of({ taskId: aTaskId(), at: due }), { id: alarmId(aTaskId(), due) });
    const again = (await scene.deliver(wakeTask, rang)).find(({ id }) => id === event.id);
    expect(again).toBeDefined();
    await scene.deliver(startRunOnEcs, again as BatonEvent);
    expect(await scene.task()).toMatchObject({ status: 'STARTING' });
    expect(await scene.task()).not.toHaveProperty('delay');
  });

  it('that is not ready does not bring back a task that moved on', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const base = async () => {
      await scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: aTaskId() }));
      return later;
    };
    const instead = { definitions: { ...scene.definitions, base } };
    await scene.deliver(startRunOnEcs, event, { instead });
    expect(await scene.task()).toMatchObject({ status: 'CANCELLED' });
    expect(scene.ignored).toContain('task_has_moved_on');
  });

  it('is not guessed for a start that an older version made', async () => {
    const { scene, event, task } = await sceneOfAHydrated();
    await scene
      .deliver(startRunOnEcs, event, {
        instead: {
          ecs: { ...scene.ecs, start: async () => Promise.reject(new ComputeError('compute_unavailable', 'x')) },
        },
      })
      .catch(() => undefined);
    const started = await scene.task();
    if (started?.status !== 'STARTING') throw new Error('expected a start');
    const { definition: _none, ...run } = started.run;
    await scene.has({ ...started, run });
    expect(await scene.deliver(startRunOnEcs, latestEvent(task), { tries: 2 })).toEqual([]);
    expect(scene.compute.calls).toEqual([]);
  });
});

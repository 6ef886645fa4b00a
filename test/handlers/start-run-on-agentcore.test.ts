import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { runClaimed } from '../../events/run-claimed.ts';
import { runReported } from '../../events/run-reported.ts';
import { cancelTask } from '../../handlers/cancel-task.ts';
import { checkRunOnAgentcore } from '../../handlers/check-run-on-agentcore.ts';
import { closeStop } from '../../handlers/close-stop.ts';
import { confirmStart } from '../../handlers/confirm-start.ts';
import { judgeReportOfRun } from '../../handlers/judge-report.ts';
import { startRunOnAgentcore } from '../../handlers/start-run-on-agentcore.ts';
import { wakeTask } from '../../handlers/wake-task.ts';
import type { AgentcoreBackend } from '../../runtime/ports.ts';
import { QUOTA_PAUSE_S, THROTTLE_PAUSE_S } from '../../runtime/session-backend.ts';
import { alarmId } from '../../runtime/tasks.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { PAUSES_MAX } from '../../schemas/task-request.ts';
import {
  anEvent,
  aReport,
  aRequest,
  aRunRecord,
  aSession,
  aSessionClaim,
  aSessionRun,
  aTask,
  aTaskId,
  at,
  testTimings,
} from '../builders.ts';
import { aSessionScene, type SessionScene } from './agentcore-scene.ts';
import { latestEvent } from './scene.ts';

const SESSION = aSession();
const { sessionId } = SESSION;
const signal = { taskId: aTaskId(), attempt: 1, nativeId: sessionId, seq: 1 };

async function sceneOfAHydrated(fields: { pauses?: number; attempt?: number; deadlineAt?: string } = {}) {
  const scene = aSessionScene();
  const task = await scene.has(aTask({ status: 'HYDRATED', compute: 'agentcore', ...fields }));
  await scene.hasRun(aRunRecord());
  return { scene, task, event: latestEvent(task) };
}

/** The back end, but something happens when the session has been invoked, before that is answered. */
const answeredAfter = (scene: SessionScene, happens: () => Promise<unknown>) => {
  const start: AgentcoreBackend['start'] = async (run) => {
    const answer = await scene.agentcore.start(run);
    await happens();
    return answer;
  };
  return { agentcore: { ...scene.agentcore, start } };
};

describe('a hydrated task that runs on AgentCore', () => {
  it('moves to STARTING with its session, which is then invoked', async () => {
    const { scene, event } = await sceneOfAHydrated();
    expect(await scene.deliver(startRunOnAgentcore, event)).toEqual([]);
    expect(await scene.task()).toMatchObject({
      status: 'STARTING',
      run: { attempt: 1, startedBy: `baton/test/${aTaskId()}/1`, dispatchedAt: at(0), handle: SESSION },
    });
    expect(scene.service.calls).toEqual([`invoke ${sessionId}`]);
  });

  it('tells its session which attempt it is for, where its payload is, and how often to beat', async () => {
    const { scene, event, task } = await sceneOfAHydrated();
    await scene.deliver(startRunOnAgentcore, event);
    expect(scene.service.asked).toEqual([
      {
        session: SESSION,
        invocation: {
          schemaVersion: 1,
          sessionId,
          taskId: aTaskId(),
          attempt: 1,
          environment: {
            BATON_TASK_ID: aTaskId(),
            BATON_ATTEMPT: '1',
            BATON_PAYLOAD: task.input,
            BATON_HEARTBEAT_S: String(testTimings.HEARTBEAT_S),
          },
        },
      },
    ]);
  });

  // F15, F19: whoever dies now leaves behind what finds and stops the session.
  it('has its session stored and its alarm set before the session is invoked', async () => {
    const { scene, event } = await sceneOfAHydrated();
    let before: unknown;
    const start: AgentcoreBackend['start'] = async (run) => {
      before = { task: await scene.task(), armed: [...scene.armed] };
      return scene.agentcore.start(run);
    };
    await scene.deliver(startRunOnAgentcore, event, { instead: { agentcore: { ...scene.agentcore, start } } });
    expect(before).toMatchObject({
      task: { status: 'STARTING', run: { handle: SESSION } },
      armed: expect.arrayContaining([at(testTimings.LIFE_LOOK_S)]),
    });
  });

  it('told three times is started by one call', async () => {
    const { scene, event } = await sceneOfAHydrated();
    expect(await scene.thrice(startRunOnAgentcore, event)).toEqual([[], [], []]);
    expect(scene.service.calls).toEqual([`invoke ${sessionId}`]);
  });

  // F23, A24
  it('that has moved on is not started, and nothing is said', async () => {
    const { scene, event } = await sceneOfAHydrated();
    await scene.has(aTask({ status: 'CANCELLED', compute: 'agentcore' }));
    expect(await scene.deliver(startRunOnAgentcore, event)).toEqual([]);
    expect(scene.service.calls).toEqual([]);
    expect(scene.ignored).toEqual(['task_has_moved_on']);
  });

  // F23
  it('is not started by a replay', async () => {
    const { scene, event } = await sceneOfAHydrated();
    await scene.deliver(startRunOnAgentcore, { ...event, 'replay-name': 'again' });
    expect(scene.service.calls).toEqual([]);
    expect((await scene.task())?.status).toBe('HYDRATED');
  });
});

describe('the start of a session whose answer never came', () => {
  it('is repeated by the retry, in the same session', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext('unavailable', 'compute_unavailable');
    await expect(scene.deliver(startRunOnAgentcore, event)).rejects.toMatchObject({ retry: 'soon' });
    expect(await scene.deliver(startRunOnAgentcore, event, { tries: 2 })).toEqual([]);
    const [first, second] = scene.service.asked;
    expect(second).toEqual(first);
    expect((await scene.task())?.status).toBe('STARTING');
  });

  // A20
  it('is repeated at the runtime where it was tried, whatever is configured by then', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext('unavailable', 'compute_unavailable');
    await expect(scene.deliver(startRunOnAgentcore, event)).rejects.toThrow();
    scene.moveTo(`${SESSION.runtimeArn}-next`);
    await scene.deliver(startRunOnAgentcore, event, { tries: 2 });
    expect(scene.service.asked.map(({ session }) => session)).toEqual([SESSION, SESSION]);
  });

  // An earlier call may have gone through, and have taken the last of the quota.
  it('is not taken for refused when the repetition is turned away at the door', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext('unavailable', 'compute_unavailable');
    scene.service.failNext('quota', 'compute_capacity');
    await expect(scene.deliver(startRunOnAgentcore, event)).rejects.toThrow();
    await expect(scene.deliver(startRunOnAgentcore, event, { tries: 2 })).rejects.toMatchObject({
      code: 'compute_capacity',
    });
    expect((await scene.task())?.status).toBe('STARTING');
  });

  it('is not repeated by an ordinary duplicate', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext('unavailable', 'compute_unavailable');
    await expect(scene.deliver(startRunOnAgentcore, event)).rejects.toThrow();
    await scene.deliver(startRunOnAgentcore, event);
    expect(scene.service.calls).toHaveLength(1);
    expect((await scene.task())?.status).toBe('STARTING');
  });

  it('is not repeated once its runner has claimed', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext('unavailable', 'compute_unavailable');
    await expect(scene.deliver(startRunOnAgentcore, event)).rejects.toThrow();
    await scene.runs.claim(signal);
    await scene.deliver(confirmStart, anEvent(runClaimed.of(signal)));
    await scene.deliver(startRunOnAgentcore, event, { tries: 2 });
    expect(scene.service.calls).toHaveLength(1);
    expect((await scene.task())?.status).toBe('RUNNING');
  });

  // F19, A25
  it('and never comes is found out by asking, and ends the attempt once', async () => {
    const { scene, event } = await sceneOfAHydrated();
    for (const tries of [1, 2, 3]) {
      scene.service.failNext('unavailable', 'compute_unavailable');
      await expect(scene.deliver(startRunOnAgentcore, event, { tries })).rejects.toThrow();
    }
    let asked: unknown;
    for (let look = 0; look < testTimings.START_CHECK_S / testTimings.LIFE_LOOK_S; look++) {
      scene.pass(testTimings.LIFE_LOOK_S);
      const due = (await scene.task())?.armedAt ?? '';
      const rang = anEvent(alarmRang.of({ taskId: aTaskId(), at: due }), { id: alarmId(aTaskId(), due) });
      [asked] = await scene.deliver(wakeTask, rang);
    }
    const [ended] = await scene.deliver(checkRunOnAgentcore, asked as BatonEvent);
    expect(await scene.thrice(closeStop, ended as BatonEvent)).toEqual([['RunLost'], [], []]);
    expect(await scene.task()).toMatchObject({ status: 'BACKOFF', reason: { code: 'start_lost' } });
    expect(await scene.record()).toMatchObject({ noClaim: true });
  });
});

// A25
describe('the start of a session that is refused', () => {
  it.each([
    ['denied', 'compute_denied', 'start_refused'],
    ['gone', 'compute_invalid', 'start_refused'],
    ['refused', 'compute_invalid', 'start_refused'],
  ] as const)('since it is %s loses the attempt once, whose end is known', async (fault, error, code) => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext(fault, error);
    const told = await scene.deliver(startRunOnAgentcore, event);
    expect(told).toMatchObject([
      { 'detail-type': 'RunEnded', detail: { data: { proof: 'never_started', status: 'STOPPING' } } },
    ]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code } });
    expect(await scene.deliver(startRunOnAgentcore, event)).toEqual([]);
    expect(scene.service.calls).toHaveLength(1);
  });

  it.each([
    ['by an account that is full', 'quota', 'compute_capacity', 'no_capacity', QUOTA_PAUSE_S],
    ['since too many begin just then', 'throttled', 'compute_throttled', 'start_throttled', THROTTLE_PAUSE_S],
  ] as const)('%s waits, and uses up no attempt', async (_, fault, error, code, seconds) => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext(fault, error);
    const [ended] = await scene.deliver(startRunOnAgentcore, event);
    expect(await scene.task()).toMatchObject({
      status: 'STOPPING',
      intent: 'paused',
      reason: { code },
      resumeAt: at(seconds),
    });
    expect(await scene.thrice(closeStop, ended as BatonEvent)).toEqual([['RunLost'], [], []]);
    expect(await scene.task()).toMatchObject({ status: 'BACKOFF', pauses: 1 });
  });

  it.each([
    ['as often as a task may', { pauses: PAUSES_MAX }],
    ['so close to its deadline', { deadlineAt: at(QUOTA_PAUSE_S) }],
  ])('by an account that is full uses up an attempt of the task that has waited %s', async (_, fields) => {
    const { scene, event } = await sceneOfAHydrated(fields);
    scene.service.failNext('quota', 'compute_capacity');
    expect(await scene.deliver(startRunOnAgentcore, event)).toMatchObject([{ 'detail-type': 'RunEnded' }]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'no_capacity' } });
  });

  it('since its container was lost has its session stopped first', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext('lost', 'compute_unavailable');
    await scene.deliver(startRunOnAgentcore, event);
    expect(scene.service.calls).toEqual([`invoke ${sessionId}`, `stop ${sessionId}`]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', reason: { code: 'never_started' } });
  });

  it('is not believed of a run that has claimed', async () => {
    const { scene, event } = await sceneOfAHydrated();
    scene.service.failNext('lost', 'compute_unavailable');
    await scene.hasRun(aRunRecord({ claim: aSessionClaim() }));
    await scene.deliver(startRunOnAgentcore, event);
    expect((await scene.task())?.status).toBe('STARTING');
    expect(scene.ignored).toContain('start_was_answered_already');
  });
});

// A25
describe('a task that moves on while its session is started', () => {
  it('since it is cancelled has its session stopped on arrival, and keeps the status of the cancel', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const instead = answeredAfter(scene, () =>
      scene.deliver(cancelTask, aRequest('TaskCancelRequested', { taskId: aTaskId() })),
    );
    const told = await scene.deliver(startRunOnAgentcore, event, { instead });
    // A23: what came of the stop is told.
    expect(told).toMatchObject([
      {
        'detail-type': 'RunStopAnswered',
        detail: { data: { compute: 'agentcore', outcome: 'stopping', nativeId: sessionId } },
      },
    ]);
    expect(scene.service.living.size).toBe(0);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'cancelled' });
    expect(await scene.record()).toMatchObject({ noClaim: true });
    expect(scene.ignored).toContain('start_came_late');
  });

  it('to its next attempt has the session of the first stopped on arrival', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const next = aTask({ status: 'RUNNING', compute: 'agentcore', attempt: 2, run: aSessionRun({ attempt: 2 }) });
    const instead = answeredAfter(scene, () => scene.has(next));
    await scene.deliver(startRunOnAgentcore, event, { instead });
    expect(scene.service.calls).toEqual([`invoke ${sessionId}`, `stop ${sessionId}`]);
    expect(await scene.task()).toMatchObject({ status: 'RUNNING', attempt: 2, run: next.run });
  });

  it('since it has reported already stays as its report says', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const instead = answeredAfter(scene, async () => {
      await scene.runs.claim(signal);
      await scene.runs.report(signal, aReport());
      await scene.deliver(judgeReportOfRun, anEvent(runReported.of({ ...signal, seq: 2 })));
    });
    await scene.deliver(startRunOnAgentcore, event, { instead });
    expect(await scene.task()).toMatchObject({ status: 'COMPLETED' });
    expect(scene.service.living.size).toBe(0);
  });

  it('since its runner claimed has its session left alone', async () => {
    const { scene, event } = await sceneOfAHydrated();
    const instead = answeredAfter(scene, async () => {
      await scene.runs.claim(signal);
      await scene.deliver(confirmStart, anEvent(runClaimed.of(signal)));
    });
    expect(await scene.deliver(startRunOnAgentcore, event, { instead })).toEqual([]);
    expect(scene.service.calls).toEqual([`invoke ${sessionId}`]);
    expect((await scene.task())?.status).toBe('RUNNING');
  });
});

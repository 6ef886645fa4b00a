import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { runStopRequested } from '../../events/run-stop-requested.ts';
import { taskCompleted } from '../../events/task-completed.ts';
import { closeStop } from '../../handlers/close-stop.ts';
import { settleTask } from '../../handlers/settle-task.ts';
import { stopRunOnAgentcore } from '../../handlers/stop-run-on-agentcore.ts';
import { wakeTask } from '../../handlers/wake-task.ts';
import { stopFact } from '../../lifecycle/judge.ts';
import { ComputeError } from '../../runtime/errors.ts';
import { alarmId } from '../../runtime/tasks.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { because } from '../../schemas/reason.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { TaskRun } from '../../schemas/task.ts';
import {
  anEvent,
  aReport,
  aResult,
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
import { typesOf } from './scene.ts';

const SESSION = aSession();
const { sessionId } = SESSION;
const STOP = `stop ${sessionId}`;
const reason = because('cancelled', 'Enough.');
const ask = (run: Pick<TaskRun, 'startedBy' | 'handle'> = aSessionRun()) =>
  anEvent(stopFact(aTask({ status: 'STOPPING', compute: 'agentcore' }), run, reason), { version: 6 });
const claimed = aRunRecord({ claim: aSessionClaim(), heartbeatAt: at(0) });

/** A task that is being stopped, and a session that lives. */
async function sceneOfAStop(record: RunRecord = claimed, run: TaskRun = aSessionRun()) {
  const scene = aSessionScene();
  await scene.has(aTask({ status: 'STOPPING', compute: 'agentcore', run }));
  await scene.hasRun(record);
  scene.service.living.add(sessionId);
  return scene;
}

describe('a session that must end', () => {
  it('is stopped by its handle, and looked at again soon: nobody tells of its end', async () => {
    const scene = await sceneOfAStop();
    const told = await scene.deliver(stopRunOnAgentcore, ask());
    expect(told).toMatchObject([
      { 'detail-type': 'RunStopAnswered', detail: { data: { compute: 'agentcore', outcome: 'stopping' } } },
    ]);
    expect(scene.service.calls).toEqual([STOP]);
    expect(await scene.task()).toMatchObject({
      status: 'STOPPING',
      run: { stopRequests: 1 },
      due: { stop: at(testTimings.STOP_LOOK_S) },
    });
  });

  it('is not looked at later than it is due anyway', async () => {
    const scene = await sceneOfAStop();
    const task = aTask({ status: 'STOPPING', compute: 'agentcore', run: aSessionRun() });
    await scene.has({ ...task, due: { ...task.due, stop: at(testTimings.STOP_LOOK_S - 1) } });
    await scene.deliver(stopRunOnAgentcore, ask());
    expect((await scene.task())?.due.stop).toBe(at(testTimings.STOP_LOOK_S - 1));
  });

  it('has ended when the next stop finds none', async () => {
    const scene = await sceneOfAStop();
    await scene.deliver(stopRunOnAgentcore, ask());
    const told = await scene.deliver(stopRunOnAgentcore, ask());
    expect(told).toMatchObject([
      { 'detail-type': 'RunStopAnswered', detail: { data: { outcome: 'already_ended' } } },
      { 'detail-type': 'RunEnded', detail: { data: { proof: 'proven' } } },
    ]);
  });

  // Between the last look and its end a run beats once more, or saves its work.
  it.each([
    ['beat', { heartbeatAt: at(5) }],
    ['saved its work', { savedWork: { branch: 'b', commit: 'c' } }],
  ])('has ended when it is gone, although it %s after it was last looked at', async (_, sign) => {
    const scene = await sceneOfAStop(
      claimed,
      aSessionRun({ life: { sign: `${at(0)} ${at(0)}`, at: at(0), looks: 1 } }),
    );
    await scene.hasRun({ ...claimed, ...sign });
    await scene.deliver(stopRunOnAgentcore, ask());
    expect(typesOf(await scene.deliver(stopRunOnAgentcore, ask()))).toEqual(['RunStopAnswered', 'RunEnded']);
  });

  // Its start may still be on its way.
  it('that was never claimed counts as never started once nobody can claim it and its start has had its time', async () => {
    const scene = await sceneOfAStop(aRunRecord());
    scene.service.living.clear();
    expect(await scene.deliver(stopRunOnAgentcore, ask())).toMatchObject([
      { 'detail-type': 'RunStopAnswered', detail: { data: { outcome: 'not_found' } } },
    ]);
    expect(scene.ignored).toContain('start_may_still_show');
    expect(await scene.record()).toMatchObject({ noClaim: true });
    scene.pass(testTimings.START_MISSING_S);
    expect(await scene.deliver(stopRunOnAgentcore, ask())).toMatchObject([
      { 'detail-type': 'RunStopAnswered' },
      { 'detail-type': 'RunEnded', detail: { data: { proof: 'never_started' } } },
    ]);
  });

  // A20
  it('is stopped at the runtime and endpoint where it was started, whatever is configured now', async () => {
    const old = aSessionRun({ handle: { ...SESSION, runtimeArn: `${SESSION.runtimeArn}-old`, qualifier: 'old' } });
    const scene = await sceneOfAStop(claimed, old);
    scene.moveTo(`${SESSION.runtimeArn}-new`);
    await scene.deliver(stopRunOnAgentcore, ask(old));
    await scene.deliver(stopRunOnAgentcore, ask({ startedBy: old.startedBy }));
    expect(scene.service.asked.length).toBeGreaterThan(1);
    for (const { session } of scene.service.asked) expect(session).toEqual(old.handle);
  });

  // A23
  it.each([
    ['throttled', 'compute_throttled', 'soon'],
    ['unavailable', 'compute_unavailable', 'soon'],
    ['conflict', 'compute_unavailable', 'soon'],
    ['denied', 'compute_denied', 'never'],
    ['refused', 'compute_invalid', 'never'],
  ] as const)('and is not, since AgentCore says %s, says so as an error: %s, %s', async (fault, code, retry) => {
    const scene = await sceneOfAStop();
    const before = await scene.task();
    scene.service.failNext(fault, code);
    await expect(scene.deliver(stopRunOnAgentcore, ask())).rejects.toMatchObject({ code, retry });
    await expect(scene.deliver(stopRunOnAgentcore, ask())).resolves.toHaveLength(1);
    expect(before).not.toMatchObject({ run: { stopRequests: 1 } });
    expect(await scene.task()).toMatchObject({ run: { stopRequests: 1 } });
  });

  it('told three times is stopped, and its end is told under one id', async () => {
    const scene = await sceneOfAStop();
    const event = ask();
    const told = [];
    for (let n = 0; n < 3; n++) told.push(...(await scene.deliver(stopRunOnAgentcore, event)));
    expect(new Set(told.filter((fact) => fact['detail-type'] === 'RunEnded').map(({ id }) => id)).size).toBe(1);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', run: { ended: { proof: 'proven' } } });
  });

  it('is not stopped by a replay', async () => {
    const scene = await sceneOfAStop();
    await scene.deliver(stopRunOnAgentcore, { ...ask(), 'replay-name': 'again' });
    expect(scene.service.calls).toEqual([]);
  });
});

describe('a session whose task has ended', () => {
  it('is stopped a moment after its report, seen to be gone, and then the task settles', async () => {
    const scene = aSessionScene();
    const ended = await scene.has(
      aTask({
        status: 'COMPLETED',
        compute: 'agentcore',
        due: { exit: at(testTimings.LAST_WORD_GRACE_S), settle: at(99) },
      }),
    );
    await scene.hasRun({ ...claimed, report: aReport() });
    scene.service.living.add(sessionId);
    scene.pass(testTimings.LAST_WORD_GRACE_S);
    const [asked] = await rung(scene, 'RunStopRequested');
    await scene.deliver(stopRunOnAgentcore, asked as BatonEvent);
    expect(await scene.task()).toMatchObject({
      due: { exit: at(testTimings.LAST_WORD_GRACE_S + testTimings.STOP_LOOK_S) },
    });
    scene.pass(testTimings.STOP_LOOK_S);
    const [again] = await rung(scene, 'RunStopRequested');
    const [, over] = await scene.deliver(stopRunOnAgentcore, again as BatonEvent);
    expect(over).toMatchObject({ 'detail-type': 'RunEnded', detail: { data: { proof: 'proven' } } });
    const told = anEvent(taskCompleted.of({ result: aResult() }), { version: ended.version });
    expect(typesOf(await scene.deliver(settleTask, told))).toContain('TaskSettled');
  });
});

// F13
describe('a session that takes every stop and ends by none', () => {
  it('is stopped again and again, then given up with an alarm, in bounded time and calls', async () => {
    const scene = await sceneOfAStop();
    scene.service.ignoreStops();
    let now = 0;
    for (let task = await scene.task(); task?.status === 'STOPPING'; task = await scene.task()) {
      const due = Math.max(now, (Date.parse(Object.values(task.due).sort()[0] ?? '') - Date.parse(at(0))) / 1_000);
      scene.pass(due - now);
      now = due;
      for (const event of await rung(scene)) {
        if (event['detail-type'] === 'RunStopRequested') await scene.deliver(stopRunOnAgentcore, event);
        if (event['detail-type'] === 'RunEnded') await scene.deliver(closeStop, event);
      }
      expect(scene.service.calls.length).toBeLessThan(60);
    }
    // Giving up lets a stop that is due at the same moment go first, five times at most.
    expect(now).toBeGreaterThanOrEqual(testTimings.STOP_PROOF_S);
    expect(now).toBeLessThanOrEqual(testTimings.STOP_PROOF_S + (5 * testTimings.STOP_RETRY_S) / 2);
    expect(await scene.task()).toMatchObject({ status: 'CANCELLED', run: { ended: { proof: 'given_up' } } });
    expect((await scene.task())?.history.at(-1)?.facts.map(({ type }) => type)).toEqual([
      'RunOrphaned',
      'TaskCancelled',
    ]);
  });

  // A32: not even an answer.
  it('and one that AgentCore does not let us stop is given up as well', async () => {
    const scene = await sceneOfAStop();
    const stop = async () => Promise.reject(new ComputeError('compute_denied', 'no'));
    const instead = { agentcore: { ...scene.agentcore, stop } };
    let tries = 0;
    for (let second = 0; (await scene.task())?.status === 'STOPPING' && second < 9_000; second++) {
      scene.pass(1);
      for (const event of await rung(scene)) {
        if (event['detail-type'] !== 'RunStopRequested') continue;
        tries++;
        await expect(scene.deliver(stopRunOnAgentcore, event, { instead })).rejects.toMatchObject({ retry: 'never' });
      }
    }
    expect(await scene.task()).toMatchObject({ status: 'CANCELLED', run: { ended: { proof: 'given_up' } } });
    expect(tries).toBeLessThan(30);
  });
});

// F26
describe('a stop that comes late', () => {
  it('ends the session of its own attempt, and touches neither the next one nor its session', async () => {
    const scene = aSessionScene();
    const run = aSessionRun({ attempt: 2 });
    const task = await scene.has(aTask({ status: 'RUNNING', compute: 'agentcore', attempt: 2, run }));
    await scene.hasRun(claimed);
    const next = aSession({ attempt: 2 }).sessionId;
    scene.service.living.add(sessionId).add(next);
    await scene.deliver(stopRunOnAgentcore, ask());
    expect([...scene.service.living]).toEqual([next]);
    expect(await scene.task()).toEqual(task);
  });
});

describe('a session that nobody knows', () => {
  it('is stopped alone, and its task is not touched', async () => {
    const scene = aSessionScene();
    const task = await scene.has(aTask({ status: 'RUNNING', compute: 'agentcore', attempt: 2 }));
    const event = anEvent(runStopRequested.of({ compute: 'agentcore', startedBy: '', handle: SESSION, reason }));
    expect(typesOf(await scene.deliver(stopRunOnAgentcore, event))).toEqual(['RunStopAnswered']);
    expect(scene.service.calls).toEqual([STOP]);
    expect(await scene.task()).toEqual(task);
  });
});

/** What the task's alarm says now, all of it or of one type. */
async function rung(scene: SessionScene, type?: string): Promise<readonly BatonEvent[]> {
  const due = (await scene.task())?.armedAt ?? scene.clock.now();
  const id = alarmId(aTaskId(), due);
  const told = await scene.deliver(wakeTask, anEvent(alarmRang.of({ taskId: aTaskId(), at: due }), { id }));
  return type === undefined ? told : told.filter((event) => event['detail-type'] === type);
}

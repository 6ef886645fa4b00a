import { describe, expect, it } from '@jest/globals';
import { alarmRang } from '../../events/alarm-rang.ts';
import { runClaimed } from '../../events/run-claimed.ts';
import { runReported } from '../../events/run-reported.ts';
import { closeStop } from '../../handlers/close-stop.ts';
import { confirmStart } from '../../handlers/confirm-start.ts';
import { judgeReportOfRun } from '../../handlers/judge-report.ts';
import { stopRunOnAgentcore } from '../../handlers/stop-run-on-agentcore.ts';
import { wakeTask } from '../../handlers/wake-task.ts';
import { alarmId } from '../../runtime/tasks.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import type { Task } from '../../schemas/task.ts';
import {
  anEvent,
  aReport,
  aRunRecord,
  aSession,
  aSessionClaim,
  aSessionRun,
  aTask,
  aTaskId,
  at,
  testTimings as T,
} from '../builders.ts';
import { aSessionScene, type SessionScene } from './agentcore-scene.ts';
import { typesOf } from './scene.ts';

const { sessionId } = aSession();
const signal = (attempt: number) => ({ taskId: aTaskId(), attempt, nativeId: aSession({ attempt }).sessionId });
const claimed = (attempt = 1) => aRunRecord({ attempt, claim: aSessionClaim(attempt) });

async function sceneOf(task: Task) {
  const scene = aSessionScene();
  await scene.has(task);
  await scene.hasRun(claimed(task.attempt));
  scene.service.living.add(aSession({ attempt: task.attempt }).sessionId);
  return scene;
}

/** The task's alarm as it is set now. */
async function alarmOf(scene: SessionScene): Promise<BatonEvent> {
  const due = (await scene.task())?.armedAt ?? scene.clock.now();
  return anEvent(alarmRang.of({ taskId: aTaskId(), at: due }), { id: alarmId(aTaskId(), due) });
}

/** Looks at the task every time that a look is due, for so many seconds; answers what was said. */
async function lookedAt(
  scene: SessionScene,
  seconds: number,
  meanwhile: () => Promise<unknown> = async () => undefined,
) {
  const told: BatonEvent[] = [];
  for (let passed = T.LIFE_LOOK_S; passed <= seconds; passed += T.LIFE_LOOK_S) {
    scene.pass(T.LIFE_LOOK_S);
    await meanwhile();
    told.push(...(await scene.deliver(wakeTask, await alarmOf(scene))));
  }
  return told;
}

describe('a task whose signals were lost', () => {
  it('runs by the claim in its record, and the signal that comes after all changes nothing', async () => {
    const scene = await sceneOf(aTask({ status: 'STARTING', compute: 'agentcore' }));
    scene.pass(T.LIFE_LOOK_S);
    const alarm = await alarmOf(scene);
    expect(await scene.thrice(wakeTask, alarm)).toEqual([['RunStarted'], [], []]);
    expect(await scene.deliver(confirmStart, anEvent(runClaimed.of({ ...signal(1), seq: 1 })))).toEqual([]);
    expect(await scene.task()).toMatchObject({ status: 'RUNNING', due: { life: at(2 * T.LIFE_LOOK_S) } });
  });

  // F6
  it('completes by the report in its record, once, and stays so', async () => {
    const scene = await sceneOf(aTask({ status: 'RUNNING', compute: 'agentcore' }));
    await scene.runs.report(signal(1), aReport());
    scene.pass(T.LIFE_LOOK_S);
    expect(await scene.thrice(wakeTask, await alarmOf(scene))).toEqual([['TaskCompleted'], [], []]);
    const task = await scene.task();
    expect(task).toMatchObject({ status: 'COMPLETED', due: { exit: at(T.LIFE_LOOK_S + T.LAST_WORD_GRACE_S) } });
    expect(await scene.deliver(judgeReportOfRun, anEvent(runReported.of({ ...signal(1), seq: 2 })))).toEqual([]);
    expect(await scene.task()).toEqual(task);
  });

  // F6: its session beats on, and then does not any more.
  it('stays completed, whatever signs of life come or fail to come', async () => {
    const scene = await sceneOf(aTask({ status: 'COMPLETED', compute: 'agentcore' }));
    await scene.runs.heartbeat(signal(1));
    await lookedAt(scene, 4 * T.HEARTBEAT_SILENCE_S);
    const task = await scene.task();
    expect(task?.status).toBe('COMPLETED');
    expect(task?.history).toEqual(aTask({ status: 'COMPLETED', compute: 'agentcore' }).history);
  });
});

describe('a run that gives no sign of life any more', () => {
  it('is stopped, and the next attempt waits until its session is known to be gone', async () => {
    const scene = await sceneOf(aTask({ status: 'RUNNING', compute: 'agentcore' }));
    const [stop] = await lookedAt(scene, T.HEARTBEAT_SILENCE_S + 2 * T.LIFE_LOOK_S);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'no_heartbeat' } });
    expect(typesOf(await scene.deliver(stopRunOnAgentcore, stop as BatonEvent))).toEqual(['RunStopAnswered']);
    expect((await scene.task())?.status).toBe('STOPPING');
    const [, ended] = await scene.deliver(stopRunOnAgentcore, stop as BatonEvent, { tries: 2 });
    expect(typesOf(await scene.deliver(closeStop, ended as BatonEvent))).toEqual(['RunLost']);
    expect(await scene.task()).toMatchObject({ status: 'BACKOFF', attempt: 1 });
    expect(await scene.runs.heartbeat(signal(1))).toBe('fenced');
    expect(scene.service.calls).toEqual([`stop ${sessionId}`, `stop ${sessionId}`]);
  });

  // It was cut off from Baton, not dead: what it did until then counts.
  it('and reports while it is stopped completes its task all the same', async () => {
    const scene = await sceneOf(aTask({ status: 'RUNNING', compute: 'agentcore' }));
    const [stop] = await lookedAt(scene, T.HEARTBEAT_SILENCE_S + 2 * T.LIFE_LOOK_S);
    await scene.deliver(stopRunOnAgentcore, stop as BatonEvent);
    await scene.runs.report(signal(1), aReport());
    const [, ended] = await scene.deliver(stopRunOnAgentcore, stop as BatonEvent, { tries: 2 });
    expect(typesOf(await scene.deliver(closeStop, ended as BatonEvent))).toEqual(['TaskCompleted']);
  });
});

// F26
describe('the signs of life of an attempt that is over', () => {
  const second = () => aTask({ status: 'RUNNING', compute: 'agentcore', attempt: 2, run: aSessionRun({ attempt: 2 }) });

  it('do not keep the next attempt alive', async () => {
    const scene = await sceneOf(second());
    await scene.hasRun(claimed(1));
    const told = await lookedAt(scene, T.HEARTBEAT_SILENCE_S + 2 * T.LIFE_LOOK_S, () =>
      scene.runs.heartbeat(signal(1)),
    );
    expect(typesOf(told)[0]).toBe('RunStopRequested');
    expect(told[0]).toMatchObject({ detail: { data: { handle: { sessionId: signal(2).nativeId } } } });
  });

  it('do not end the next attempt when they fail to come', async () => {
    const scene = await sceneOf(second());
    await scene.hasRun(claimed(1));
    const told = await lookedAt(scene, 10 * T.HEARTBEAT_SILENCE_S, () => scene.runs.heartbeat(signal(2)));
    expect(told).toEqual([]);
    expect((await scene.task())?.status).toBe('RUNNING');
  });
});

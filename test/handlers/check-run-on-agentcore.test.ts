import { describe, expect, it } from '@jest/globals';
import { runCheckRequested } from '../../events/run-check-requested.ts';
import { checkRunOnAgentcore } from '../../handlers/check-run-on-agentcore.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import {
  anEvent,
  aReport,
  aRunRecord,
  aSession,
  aSessionClaim,
  aSessionRun,
  aTask,
  at,
  testTimings,
} from '../builders.ts';
import { aSessionScene } from './agentcore-scene.ts';
import { typesOf } from './scene.ts';

const { sessionId } = aSession();
const { startedBy } = aSessionRun();
const check = () => anEvent(runCheckRequested.of({ compute: 'agentcore', startedBy, purpose: 'start' }));
const claimed = aRunRecord({ claim: aSessionClaim() });

/** A start that was not heard of, and a session that lives. */
/** Looks have found nothing of it so far. */
const lookedAt = aSessionRun({ life: { sign: '', at: at(0), looks: 3 } });

async function sceneOfAStart(record: RunRecord = aRunRecord()) {
  const scene = aSessionScene();
  await scene.has(aTask({ status: 'STARTING', compute: 'agentcore', run: lookedAt }));
  await scene.hasRun(record);
  scene.service.living.add(sessionId);
  return scene;
}

describe('an overdue start of a session', () => {
  it('whose runner has claimed runs, although nobody heard of its claim, and is left alone', async () => {
    const scene = await sceneOfAStart(claimed);
    scene.pass(testTimings.START_CHECK_S);
    expect(typesOf(await scene.deliver(checkRunOnAgentcore, check()))).toEqual(['RunStarted']);
    expect((await scene.task())?.status).toBe('RUNNING');
    expect(scene.service.calls).toEqual([]);
  });

  it('that has time left is left alone', async () => {
    const scene = await sceneOfAStart();
    scene.pass(testTimings.START_CHECK_S - 1);
    expect(await scene.deliver(checkRunOnAgentcore, check())).toEqual([]);
    expect((await scene.task())?.status).toBe('STARTING');
    expect(scene.service.calls).toEqual([]);
  });

  // Something was there to stop: that is no sign of life of a runner, which nobody would ever miss.
  it('that nobody claimed is lost and stopped, and does not run', async () => {
    const scene = await sceneOfAStart();
    scene.pass(testTimings.START_CHECK_S);
    expect(await scene.deliver(checkRunOnAgentcore, check())).toMatchObject([
      { 'detail-type': 'RunStopRequested', detail: { data: { handle: aSession(), reason: { code: 'start_lost' } } } },
    ]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'lost', run: { handle: aSession() } });
    expect(await scene.task()).not.toHaveProperty('run.ended');
    expect(await scene.record()).toMatchObject({ noClaim: true });
    expect(await scene.deliver(checkRunOnAgentcore, check(), { tries: 2 })).toHaveLength(1);
  });

  // F13: its session must not be asked for ever, without an alarm.
  it('that nobody claimed and that takes every stop is given up in the end', async () => {
    const scene = await sceneOfAStart();
    scene.sessions.ignoreStops();
    scene.pass(testTimings.START_CHECK_S);
    await scene.deliver(checkRunOnAgentcore, check());
    expect((await scene.task())?.due).toHaveProperty('proof', at(testTimings.START_CHECK_S + testTimings.STOP_PROOF_S));
  });

  it('that nobody claimed is lost once its session is gone, and nobody can claim it any more', async () => {
    const scene = await sceneOfAStart();
    scene.service.living.clear();
    scene.pass(testTimings.START_CHECK_S);
    expect(await scene.deliver(checkRunOnAgentcore, check())).toMatchObject([
      { 'detail-type': 'RunEnded', detail: { data: { proof: 'never_started' } } },
    ]);
    expect(await scene.task()).toMatchObject({ status: 'STOPPING', intent: 'lost', reason: { code: 'start_lost' } });
    expect(await scene.runs.claim({ taskId: claimed.taskId, attempt: 1, nativeId: sessionId })).toBe('fenced');
  });

  // Its container came up between the answer that there is none and the decision.
  it('is not lost when it is claimed at that very moment', async () => {
    const scene = await sceneOfAStart();
    scene.service.living.clear();
    scene.pass(testTimings.START_CHECK_S);
    const ask: typeof scene.agentcore.ask = async (target) => {
      const answer = await scene.agentcore.ask(target);
      await scene.runs.claim({ taskId: claimed.taskId, attempt: 1, nativeId: sessionId });
      return answer;
    };
    await scene.deliver(checkRunOnAgentcore, check(), { instead: { agentcore: { ...scene.agentcore, ask } } });
    expect((await scene.task())?.status).toBe('STARTING');
    expect(typesOf(await scene.deliver(checkRunOnAgentcore, check()))).toEqual(['RunStarted']);
  });

  it('whose report is stored ends as it says, once its session is gone', async () => {
    const scene = await sceneOfAStart({ ...claimed, report: aReport() });
    scene.service.living.clear();
    expect(typesOf(await scene.deliver(checkRunOnAgentcore, check()))).toEqual(['TaskCompleted']);
    expect(await scene.task()).toMatchObject({ status: 'COMPLETED', run: { ended: { proof: 'proven' } } });
  });

  it('asked about three times is judged once', async () => {
    const scene = await sceneOfAStart(claimed);
    expect(await scene.thrice(checkRunOnAgentcore, check())).toEqual([['RunStarted'], [], []]);
  });

  // A18
  it('stays as it is when AgentCore does not answer', async () => {
    const scene = await sceneOfAStart();
    scene.pass(testTimings.START_CHECK_S);
    scene.service.failNext('unavailable', 'compute_unavailable');
    await expect(scene.deliver(checkRunOnAgentcore, check())).rejects.toMatchObject({ code: 'compute_unavailable' });
    expect((await scene.task())?.status).toBe('STARTING');
  });

  it('is not asked about by a replay', async () => {
    const scene = await sceneOfAStart();
    scene.pass(testTimings.START_CHECK_S);
    await scene.deliver(checkRunOnAgentcore, { ...check(), 'replay-name': 'again' });
    expect(scene.service.calls).toEqual([]);
  });
});

// F26
describe('a question about a session whose attempt is over', () => {
  it('judges nothing of the next one, and stops nothing', async () => {
    const scene = await sceneOfAStart();
    const run = aSessionRun({ attempt: 2 });
    const task = await scene.has(aTask({ status: 'RUNNING', compute: 'agentcore', attempt: 2, run }));
    scene.pass(testTimings.START_CHECK_S);
    expect(await scene.deliver(checkRunOnAgentcore, check())).toEqual([]);
    expect(await scene.task()).toEqual(task);
    expect(scene.service.calls).toEqual([]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SessionFault, type SessionFaultKind } from '../../runtime/engine/local-agentcore-session.ts';
import { remedyFor } from '../../schemas/reason.ts';
import { openSessionScene, type SessionScene, secondsBetween } from './agentcore-scene.ts';

/** Wait for room, in seconds: long enough to look at a task that waits, on a busy machine. */
const PAUSE_S = 3;

let scene: SessionScene;
/** What the next invocations are refused with, in order. */
const refusals: SessionFaultKind[] = [];
beforeAll(async () => {
  scene = await openSessionScene({
    sessions: {
      pauseSeconds: PAUSE_S,
      failing: (operation) => {
        const kind = operation === 'invoke' ? refusals.shift() : undefined;
        return kind && new SessionFault(kind, `as the test asks: ${kind}`);
      },
    },
  });
});
afterAll(() => scene.close());

describe('a start that AgentCore refuses', () => {
  it('because it gets too many is a pause that uses up no attempt, and the next start completes', async () => {
    refusals.push('throttled');
    const taskId = await scene.submit('echo done > done.txt', { attempts: 1 });
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2, pauses: 1 });
    expect(scene.lossesOf(taskId)).toEqual([
      { code: 'start_throttled', message: 'AgentCore: as the test asks: throttled' },
    ]);
  });

  it.each(['conflict', 'internal'] as const)('for the moment (%s) is tried again in the same attempt', async (kind) => {
    refusals.push(kind);
    const starts = scene.file(kind);
    const taskId = await scene.submit(`echo start >> ${starts}; echo done > done.txt`);
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(scene.lines(kind)).toEqual(['start']);
    expect(refusals).toEqual([]);
  });

  it('because its container did not come up is an attempt that never ran, and the next one completes', async () => {
    refusals.push('container');
    const taskId = await scene.submit('echo done > done.txt');
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(scene.lossesOf(taskId)).toMatchObject([{ code: 'never_started' }]);
  });

  it('because it may not is an attempt that is lost, and says what to do where no attempt is left', async () => {
    refusals.push('denied');
    const taskId = await scene.submit('true', { attempts: 1 });
    expect(await scene.settled(taskId)).toMatchObject({
      status: 'FAILED',
      reason: { code: 'start_refused', message: 'AgentCore: as the test asks: denied' },
      run: { ended: { proof: 'never_started' } },
    });
    expect(remedyFor('start_refused')).not.toBe('');
  });
});

describe('a task that comes when the account has as many sessions as it may', () => {
  it('pauses without using up its only attempt, and completes when there is room again', async () => {
    refusals.push('quota', 'quota');
    const taskId = await scene.submit('echo done > done.txt', { attempts: 1 });
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 3, attempts: 1, pauses: 2 });
    expect(scene.lossesOf(taskId).map(({ code }) => code)).toEqual(['no_capacity', 'no_capacity']);
    expect(scene.inRemote('show', `baton/${taskId}:done.txt`)).toBe('done');
  });

  it('gives its slot back while it pauses, and can be cancelled', async () => {
    refusals.push('quota');
    const taskId = await scene.submit('true', { attempts: 1 });
    const paused = await scene.until(taskId, ({ status }) => status === 'BACKOFF', 'to pause');
    expect(paused).toMatchObject({ pauses: 1, reason: { code: 'no_capacity' } });
    const pausedAt = paused.history.find(({ to }) => to === 'STOPPING')?.at ?? '';
    expect(secondsBetween(pausedAt, paused.resumeAt ?? '')).toBeCloseTo(PAUSE_S, 0);
    expect(await scene.world.record('SLOT#user:local')).toMatchObject({ holders: {}, waiters: {} });
    expect(await scene.world.cancel(taskId)).toMatchObject({ status: 'CANCELLED' });
    expect(await scene.settled(taskId)).toMatchObject({ status: 'CANCELLED' });
  });
});

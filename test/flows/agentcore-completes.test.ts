import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { taskView } from '../../schemas/task-view.ts';
import { openSessionScene, quickLife, type SessionScene, secondsBetween } from './agentcore-scene.ts';
import { lives, numberIn } from './scene.ts';

/** What a busy machine may take for a few steps, in seconds. */
const BUSY_S = 5;

/** Nobody looks at signs of life in time: what moves these tasks was told. */
const unwatched = { ...quickLife, LIFE_LOOK_S: 600 };

let scene: SessionScene;
beforeAll(async () => {
  scene = await openSessionScene({ timings: unwatched, limit: 4 });
});
afterAll(() => scene.close());

describe('a task whose work is done in a session of AgentCore', () => {
  it('completes with its work on a pushed branch, told by its runner alone, though everything comes twice', async () => {
    const taskId = await scene.submit('cat > hello.txt; echo "said hello"', { prompt: 'Say "hello" & $(nothing)' });
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1, compute: 'agentcore', due: {} });
    expect(task.result).toMatchObject({ branch: `baton/${taskId}`, filesChanged: 1, insertions: 1, deletions: 0 });
    expect(scene.inRemote('show', `baton/${taskId}:hello.txt`)).toBe('Say "hello" & $(nothing)');
    expect(scene.inRemote('rev-parse', `baton/${taskId}`)).toBe(task.result?.commit);
    expect(taskView.parse(task)).toEqual(task);
    expect(task.history.map(({ to, cause }) => `${to} ${cause.type}`)).toEqual([
      'SUBMITTED TaskRequested',
      'ADMITTED TaskSubmitted',
      'HYDRATED TaskAdmitted',
      'STARTING TaskHydrated',
      'RUNNING RunClaimed',
      'COMPLETED RunReported',
    ]);
  });

  it('has its session stopped soon after its report, and settles when nothing is left of it', async () => {
    const pidFile = scene.file('settles');
    const taskId = await scene.submit(`echo $PPID > ${pidFile}; sleep 1`);
    const runner = await numberIn(pidFile);
    const { server, supervisor } = await scene.containerOf(taskId);
    expect([runner, server, supervisor].map(lives)).toEqual([true, true, true]);
    const task = await scene.settled(taskId);
    expect(task.run).toMatchObject({ nativeId: `baton-local-${taskId}-1`, ended: { proof: 'proven' } });
    expect([runner, server, supervisor].map(lives)).toEqual([false, false, false]);
    expect(await scene.hasSession(taskId)).toBe(false);
    const { LAST_WORD_GRACE_S, STOP_LOOK_S } = quickLife;
    expect(secondsBetween(task.endedAt ?? '', task.settledAt ?? '')).toBeLessThan(
      LAST_WORD_GRACE_S + STOP_LOOK_S + BUSY_S,
    );
    expect(await scene.world.unsettled()).toBe(0);
    expect(await scene.world.record('SLOT#user:local')).toMatchObject({ holders: {}, waiters: {} });
    expect(await scene.world.record(`EVENT#${taskId}`)).toBeUndefined();
  });

  it('keeps its log, and neither its workspace nor its prompt', async () => {
    const taskId = await scene.submit('echo "working hard"; echo x > x');
    await scene.settled(taskId);
    const runDir = dirname(await scene.world.logPath(taskId));
    expect(await scene.log(taskId)).toMatch(/^working hard$/m);
    expect(existsSync(join(runDir, 'report.json'))).toBe(true);
    expect(existsSync(join(runDir, 'workspace'))).toBe(false);
    expect(existsSync(join(runDir, 'prompt.txt'))).toBe(false);
  });

  it('logs what the same task logs on ECS, and its beginning besides', async () => {
    const agent = 'echo "working hard"';
    const [session, ecs] = await Promise.all([scene.submit(agent), scene.submit(agent, { compute: 'ecs' })]);
    await Promise.all([scene.settled(session), scene.settled(ecs)]);
    const lines = async (taskId: string) => (await scene.log(taskId)).replaceAll(taskId, '<task>').trim().split('\n');
    // Its session is stopped once its report is heard, which may be before the container's own last word.
    const lastWord = '[baton] attempt 1 of task <task> has ended with 0';
    expect((await lines(session)).filter((line) => line !== lastWord)).toEqual([
      '[baton] attempt 1 of task <task> begins',
      ...(await lines(ecs)),
    ]);
  });
});

describe('a task on AgentCore whose agent fails', () => {
  it('fails at once with its exit code and last words, and its session is stopped', async () => {
    const taskId = await scene.submit('echo half > half.txt; echo "cannot go on" >&2; exit 3');
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'agent_failed' } });
    expect(task.reason?.message).toMatch(/exit code 3.*cannot go on/s);
    expect(task.savedWork).toMatchObject({ branch: `baton/${taskId}` });
    expect(scene.inRemote('show', `baton/${taskId}:half.txt`)).toBe('half');
    expect(await scene.hasSession(taskId)).toBe(false);
  });
});

describe('a task on AgentCore that must end before its work is done', () => {
  it.each([
    ['CANCELLED', 'cancelled', 600],
    ['TIMED_OUT', 'timed_out', 4],
  ])(
    'is %s, though its agent does not listen, and none of its processes is left',
    async (status, code, timeoutSeconds) => {
      const pidFile = scene.file(status);
      const taskId = await scene.submit(`trap "" TERM; echo $$ > ${pidFile}; while :; do sleep 0.2; done`, {
        timeoutSeconds,
      });
      const agent = await numberIn(pidFile);
      const { server } = await scene.containerOf(taskId);
      if (status === 'CANCELLED') await scene.world.cancel(taskId, 'not needed any more');
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status, attempt: 1, reason: { code }, run: { ended: { proof: 'proven' } } });
      expect([agent, server].map(lives)).toEqual([false, false]);
      expect(await scene.hasSession(taskId)).toBe(false);
      expect(scene.factsOf(taskId)).not.toContain('RunLost');
      expect(scene.factsOf(taskId)).not.toContain('RunOrphaned');
    },
  );
});

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  firstStart,
  lastSignOf,
  openSessionScene,
  quickLife,
  type SessionScene,
  secondsBetween,
  secondTimeLucky,
} from './agentcore-scene.ts';
import { eventually, lives } from './scene.ts';

/**
 * Longest time from the last sign of life to the decision that a run is dead, in seconds: the sign is seen one look late, its silence
 * one look late, and a busy machine is late with both.
 */
const DEATH_KNOWN_S = quickLife.HEARTBEAT_SILENCE_S + 2 * quickLife.LIFE_LOOK_S + 4;

interface Story {
  readonly taskId: string;
  readonly agent: number;
}

/** Each task begins, dies in its own way, and goes on beside the others: most of the time they wait. */
async function dying(scene: SessionScene, name: string, kill: (taskId: string, runner: number) => Promise<unknown>) {
  const taskId = await scene.submit(secondTimeLucky(scene.file(name)));
  const { runner, agent } = await firstStart(scene, name);
  await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
  await kill(taskId, runner);
  return { taskId, agent };
}

// F24: nobody tells that a session has ended.
describe('a run on AgentCore', () => {
  const deaths: Record<string, (scene: SessionScene, taskId: string, runner: number) => Promise<unknown>> = {
    'whose runner is killed': async (_scene, _taskId, runner) => process.kill(runner, 'SIGKILL'),
    'whose container is killed': async (scene, taskId) =>
      process.kill((await scene.containerOf(taskId)).server, 'SIGKILL'),
    'whose container is killed with all that watches over it': async (scene, taskId) => {
      const { server, supervisor } = await scene.containerOf(taskId);
      process.kill(supervisor, 'SIGKILL');
      process.kill(server, 'SIGKILL');
    },
    'whose machine is taken away': async (scene, taskId) =>
      expect(await scene.world.interrupt(taskId, 'host')).toBe(true),
    'whose container does not answer pings any more': async (scene, taskId) =>
      process.kill((await scene.containerOf(taskId)).server, 'SIGSTOP'),
  };
  const stories = new Map<string, Promise<Story>>();
  let scene: SessionScene;
  beforeAll(async () => {
    scene = await openSessionScene();
    for (const [name, kill] of Object.entries(deaths)) {
      stories.set(
        name,
        dying(scene, name.replaceAll(' ', '-'), (taskId, runner) => kill(scene, taskId, runner)),
      );
    }
    await Promise.all(stories.values());
  });
  afterAll(() => scene.close());

  it.each(Object.keys(deaths))(
    '%s is found dead by its silence alone, in time, and the next attempt completes',
    async (name) => {
      const { taskId, agent } = (await stories.get(name)) as Story;
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2, result: { branch: `baton/${taskId}` } });
      expect(lives(agent)).toBe(false);
      expect(scene.lines(name.replaceAll(' ', '-'))).toHaveLength(2);
      expect(scene.lossesOf(taskId).map(({ code }) => code)).toEqual(['no_heartbeat']);
      expect([await scene.hasSession(taskId, 1), await scene.hasSession(taskId, 2)]).toEqual([false, false]);
      const stopping = task.history.find(({ to }) => to === 'STOPPING');
      expect(stopping?.cause.type).toBe('AlarmRang');
      const silence = secondsBetween(lastSignOf(await scene.runOf(taskId, 1)), stopping?.at ?? '');
      expect(silence).toBeGreaterThanOrEqual(quickLife.HEARTBEAT_SILENCE_S);
      expect(silence).toBeLessThan(DEATH_KNOWN_S);
      expect(await scene.log(taskId, 1)).toContain('running the agent');
    },
  );
});

describe('a session of AgentCore', () => {
  const IDLE_S = 1;
  const LIFETIME_S = 10;
  let scene: SessionScene;
  beforeAll(async () => {
    scene = await openSessionScene({
      sessions: { limits: { idleMs: IDLE_S * 1_000, maxLifetimeMs: LIFETIME_S * 1_000 } },
    });
  });
  afterAll(() => scene.close());

  const endedAlone = (taskId: string) =>
    eventually(async () => ((await scene.hasSession(taskId, 1)) ? undefined : scene.world.view(taskId)), 'its end');

  it('that has nothing left to do ends by itself, without a word; its task notices and goes on', async () => {
    const { taskId } = await dying(scene, 'idle', async (_taskId, runner) => process.kill(runner, 'SIGKILL'));
    // Nobody has asked it to end yet.
    expect(await endedAlone(taskId)).toMatchObject({ status: 'RUNNING', attempt: 1 });
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(scene.lossesOf(taskId).map(({ code }) => code)).toEqual(['no_heartbeat']);
  });

  it('that is as old as one may be ends at work, without a word; its task notices and goes on', async () => {
    const { taskId, agent } = await dying(scene, 'lifetime', async () => undefined);
    expect(await endedAlone(taskId)).toMatchObject({ status: 'RUNNING', attempt: 1 });
    expect(lives(agent)).toBe(false);
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(scene.lossesOf(taskId).map(({ code }) => code)).toEqual(['no_heartbeat']);
  });

  // F27
  it('that says nothing for longer than silence counts as death, busy with one tool call, is neither idle nor dead', async () => {
    const quietS = quickLife.HEARTBEAT_SILENCE_S + 1;
    const taskId = await scene.submit(`sleep ${quietS}; echo done > done.txt`);
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(scene.factsOf(taskId)).not.toContain('RunLost');
    expect((await scene.runOf(taskId)).firstOutputAt).toBeUndefined();
  });
});

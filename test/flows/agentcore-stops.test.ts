import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BedrockAgentCoreClient, InvokeAgentRuntimeCommand } from '@aws-sdk/client-bedrock-agentcore';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LOCAL_RUNTIME, SessionFault } from '../../runtime/engine/local-agentcore-session.ts';
import { parseSessionId, sessionIdOf } from '../../schemas/agentcore-session.ts';
import { clientConfig } from '../runtime/aws/wire.ts';
import { firstStart, openSessionScene, quickLife, type SessionScene, secondTimeLucky } from './agentcore-scene.ts';
import { eventually, linesOf, lives, numberIn } from './scene.ts';

/** A run is given up this soon, in seconds: these stories wait for it. */
const impatient = { ...quickLife, STOP_PROOF_S: 3 };

describe('a session that takes every stop and lives on', () => {
  let scene: SessionScene;
  beforeAll(async () => {
    // Only first attempts are so.
    const ignoresStop = ({ sessionId }: { sessionId: string }) => parseSessionId(sessionId)?.attempt === 1;
    scene = await openSessionScene({ timings: impatient, limit: 1, sessions: { ignoresStop } });
  });
  afterAll(() => scene.close());

  // F13
  it('is given up with an alarm that says where it is and what it costs, and keeps nobody from working', async () => {
    const pidFile = scene.file('orphan');
    // A runner that is not frozen would hear from its next heartbeat that it does not count any more, and end.
    const taskId = await scene.submit(`kill -STOP $PPID; echo $$ > ${pidFile}; sleep 300`, { userId: 'ada' });
    const agent = await numberIn(pidFile);
    await scene.world.cancel(taskId, 'not needed any more');
    const waiting = await scene.submit('true', { userId: 'ada', compute: 'ecs' });
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'CANCELLED', run: { ended: { proof: 'given_up' } } });
    const sessionId = sessionIdOf({ stage: 'local', taskId, attempt: 1 });
    const orphaned = scene.factOf(taskId, 'RunOrphaned');
    expect(orphaned).toMatchObject({
      compute: 'agentcore',
      nativeId: sessionId,
      runningCost: { usdPerHour: expect.any(Number), endsBy: expect.any(String) },
    });
    expect((orphaned as { message: string }).message).toMatch(
      /asked to stop ([2-9]|\d{2,}) times.*stop it by hand.*an hour/s,
    );
    expect(scene.factsOf(taskId).filter((type) => type === 'RunOrphaned')).toHaveLength(1);
    expect(lives(agent)).toBe(true);
    expect(await scene.settled(waiting)).toMatchObject({ status: 'COMPLETED' });
  });

  // F26, and the reason for fences: the old attempt comes back when the next one has pushed.
  it('cannot push any more when its attempt was given up frozen and it wakes beside the next one', async () => {
    const [starts, gate, ended] = [scene.file('frozen'), scene.file('frozen-gate'), scene.file('frozen-end')];
    const frozen = `echo late > late.txt; kill -STOP $PPID; while [ ! -e ${gate} ]; do sleep 0.05; done; echo end > ${ended}`;
    const taskId = await scene.submit(secondTimeLucky(starts, frozen), { userId: 'bob' });
    const { runner } = await firstStart(scene, 'frozen');
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    const pushed = scene.inRemote('rev-parse', `baton/${taskId}`);
    expect(lives(runner)).toBe(true);
    writeFileSync(gate, '');
    await eventually(() => scene.lines('frozen-end')[0], 'the end of the first agent');
    process.kill(runner, 'SIGCONT');
    await eventually(() => (lives(runner) ? undefined : true), 'the first runner to give up');
    // Its server says so a moment after.
    const saysFenced = async () => (await scene.log(taskId, 1)).includes('has ended with 79') || undefined;
    await eventually(saysFenced, 'the word of the first server');
    expect(scene.inRemote('rev-parse', `baton/${taskId}`)).toBe(pushed);
    expect(scene.inRemote('show', '--name-only', '--format=', pushed)).toBe('done.txt');
    expect(scene.inRemote('rev-list', '--count', `main..baton/${taskId}`)).toBe('1');
    expect(await scene.world.view(taskId)).toMatchObject({ version: task.version, result: { commit: pushed } });
  });
});

/** More than the tries of a delivery and of its duplicate: what repeats a stop then is the task's own alarm. */
const STOPS_REFUSED = 10;

describe('stops that AgentCore does not answer', () => {
  it('are repeated until one is; the end is proven then', async () => {
    let refused = 0;
    const scene = await openSessionScene({
      sessions: {
        failing: (operation) => {
          if (operation !== 'stop' || refused === STOPS_REFUSED) return undefined;
          refused += 1;
          return new SessionFault('internal', 'as the test asks');
        },
      },
    });
    try {
      const pidFile = scene.file('unheard');
      const taskId = await scene.submit(`echo $$ > ${pidFile}; sleep 300`);
      const agent = await numberIn(pidFile);
      await scene.world.cancel(taskId);
      expect(await scene.settled(taskId)).toMatchObject({
        status: 'CANCELLED',
        run: { ended: { proof: 'proven' } },
      });
      expect(refused).toBe(STOPS_REFUSED);
      expect(lives(agent)).toBe(false);
    } finally {
      await scene.close();
    }
  });
});

describe('an invocation that comes late a second time', () => {
  let scene: SessionScene;
  beforeAll(async () => {
    scene = await openSessionScene();
  });
  afterAll(() => scene.close());

  /** As a function does that was frozen between its decision and its call. */
  async function invokedAgain(taskId: string): Promise<void> {
    const sessionId = sessionIdOf({ stage: 'local', taskId, attempt: 1 });
    const client = new BedrockAgentCoreClient({ ...clientConfig(scene.world.url), maxAttempts: 8 });
    const { input = '' } = (await scene.world.record(`TASK#${taskId}`)) as { input?: string };
    const payload = {
      schemaVersion: 1,
      sessionId,
      taskId,
      attempt: 1,
      environment: { BATON_TASK_ID: taskId, BATON_ATTEMPT: '1', BATON_PAYLOAD: input, BATON_HEARTBEAT_S: '1' },
    };
    try {
      const answer = await client.send(
        new InvokeAgentRuntimeCommand({
          agentRuntimeArn: LOCAL_RUNTIME.runtimeArn,
          qualifier: LOCAL_RUNTIME.qualifier,
          runtimeSessionId: sessionId,
          contentType: 'application/json',
          payload: Buffer.from(JSON.stringify(payload)),
        }),
      );
      expect(answer.statusCode).toBe(200);
    } finally {
      client.destroy();
    }
  }

  // A session that was stopped and is invoked again has a new container, on AWS as here.
  it('after its stop makes a container again, which does not run the agent again', async () => {
    const starts = scene.file('again');
    const taskId = await scene.submit(`echo start >> ${starts}; sleep 300`);
    await eventually(() => scene.lines('again')[0], 'the start');
    await scene.world.cancel(taskId);
    const before = await scene.settled(taskId);
    await invokedAgain(taskId);
    expect(await scene.hasSession(taskId)).toBe(true);
    // What it would work with is deleted.
    expect(await refusedAgain(taskId)).toMatch(/ended with 64$/);
    expect(scene.lines('again')).toEqual(['start']);
    expect(await scene.world.view(taskId)).toEqual(before);
  });

  it('before anybody noticed that its session is gone does not run the agent again; the next attempt does', async () => {
    const taskId = await scene.submit(secondTimeLucky(scene.file('unnoticed')));
    await firstStart(scene, 'unnoticed');
    process.kill((await scene.containerOf(taskId)).server, 'SIGKILL');
    await eventually(async () => ((await scene.hasSession(taskId)) ? undefined : true), 'the end of the session');
    await invokedAgain(taskId);
    // The attempt is claimed.
    expect(await refusedAgain(taskId)).toMatch(/ended with 79$/);
    expect(scene.lines('unnoticed')).toHaveLength(1);
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(scene.lines('unnoticed')).toHaveLength(2);
    expect(await scene.hasSession(taskId)).toBe(false);
  });

  /** The second container of the first attempt has a directory beside that of the first. */
  const refusedAgain = (taskId: string) =>
    eventually(async () => {
      const second = join(`${dirname(await scene.world.logPath(taskId, 1))}-2`, 'agent.log');
      return linesOf(second).find((line) => line.includes('has ended with'));
    }, 'the end of the runner in the second container');
});

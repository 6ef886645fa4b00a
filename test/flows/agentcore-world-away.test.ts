import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { firstStart, openSessionScene, type SessionScene, secondTimeLucky } from './agentcore-scene.ts';
import { eventually, impatientRunner, lives } from './scene.ts';

let scene: SessionScene;
beforeAll(async () => {
  scene = await openSessionScene();
});
afterAll(() => scene.close());

describe('a world that is closed while a session of AgentCore works', () => {
  it('finds the same run working when it opens again, on another port, and the task completes', async () => {
    const [starts, gate] = [scene.file('starts'), scene.file('gate')];
    const taskId = await scene.submit(
      `echo start >> ${starts}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo done > done.txt`,
    );
    await eventually(() => scene.lines('starts')[0], 'the start');
    await scene.reopen();
    expect(await scene.world.view(taskId)).toMatchObject({ status: 'RUNNING', attempt: 1 });
    writeFileSync(gate, '');
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(scene.lines('starts')).toEqual(['start']);
    expect(await scene.hasSession(taskId)).toBe(false);
  });

  it('notices that it ended meanwhile, and the next attempt completes', async () => {
    const taskId = await scene.submit(secondTimeLucky(scene.file('ends')));
    const { agent } = await firstStart(scene, 'ends');
    await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
    const { server } = await scene.containerOf(taskId);
    await scene.world.close();
    process.kill(server, 'SIGKILL');
    await eventually(() => (lives(agent) ? undefined : true), 'its end');
    await scene.reopen();
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(scene.lossesOf(taskId).map(({ code }) => code)).toEqual(['no_heartbeat']);
    expect(scene.lines('ends')).toHaveLength(2);
  });

  it('judges it by the report that its runner left behind when nobody answered', async () => {
    await scene.reopen({ runnerCommand: impatientRunner(1) });
    const [starts, gate] = [scene.file('late-starts'), scene.file('late-gate')];
    const taskId = await scene.submit(`echo start >> ${starts}; while [ ! -e ${gate} ]; do sleep 0.05; done; true`);
    await eventually(() => scene.lines('late-starts')[0], 'the start');
    const report = join(dirname(await scene.world.logPath(taskId)), 'report.json');
    await scene.world.close();
    writeFileSync(gate, '');
    await eventually(() => (existsSync(report) ? true : undefined), 'a report that nobody takes');
    await scene.reopen();
    expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(scene.lines('late-starts')).toEqual(['start']);
    expect(await scene.hasSession(taskId)).toBe(false);
  });
});

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { linesOf, openScene, type Scene } from './scene.ts';

// On loopback: loopback/agentcore-stories.test.ts, and while functions die, functions-die.test.ts.
describe('embedded, a world in which every event is delivered twice', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({ copies: 2 });
  });
  afterAll(() => scene.close());

  it('starts one run, takes one report and pushes one commit', async () => {
    const starts = join(scene.folder, 'starts');
    const taskId = await scene.submit(`echo start >> ${starts}; echo hello > hello.txt`);
    const task = await scene.settled(taskId);
    expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(linesOf(starts)).toEqual(['start']);
    expect(scene.inRemote('rev-list', '--count', `main..baton/${taskId}`)).toBe('1');
    expect(task.duplicates).toBeGreaterThan(0);
    const terminal = scene.factsOf(taskId).filter((type) => type === 'TaskCompleted');
    expect(terminal).toEqual(['TaskCompleted']);
  });

  it('cancels once', async () => {
    const taskId = await scene.submit('sleep 300');
    await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
    await scene.world.cancel(taskId);
    const task = await scene.settled(taskId);
    expect(task.status).toBe('CANCELLED');
    expect(task.history.filter(({ to }) => to === 'CANCELLED')).toHaveLength(1);
    expect(scene.deadLetters).toEqual([]);
  });
});

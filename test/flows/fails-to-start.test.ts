import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { onEveryWorld } from './every-world.ts';
import type { FlowScene } from './scene.ts';

onEveryWorld((openScene) => {
  let scene: FlowScene;
  beforeAll(async () => {
    scene = await openScene({ runnerCommand: ['/nowhere/runner'] });
  });
  afterAll(() => scene.close());

  describe('a run whose program is missing', () => {
    it('fails to start in every attempt, and the task ends FAILED with the reason of the back end', async () => {
      const taskId = await scene.submit('true', { attempts: 3 });
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({
        status: 'FAILED',
        attempt: 3,
        reason: { code: 'never_started' },
        run: { ended: { proof: 'never_started' } },
      });
      expect(task.reason?.message).toContain('/nowhere/runner does not exist');
      expect(task.history.filter(({ to }) => to === 'BACKOFF')).toHaveLength(2);
      expect(scene.factsOf(taskId).filter((type) => type === 'TaskFailed')).toHaveLength(1);
    });
  });
});

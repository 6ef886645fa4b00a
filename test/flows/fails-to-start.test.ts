import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, openScene, type Scene } from './scene.ts';

// On loopback a start that fails is told in stops.test.ts.
describe('embedded', () => {
  let scene: Scene;
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

    // F1, A16: ECS tells of such an end without containers, and sometimes half an hour late.
    it('and tells it once more, long after, without moving the task', async () => {
      const taskId = await scene.submit('true', { attempts: 2 });
      const before = await scene.settled(taskId);
      const ends = scene.events.filter(({ source, detail }) => {
        const { startedBy = '', lastStatus } = detail as { startedBy?: string; lastStatus?: string };
        return source === 'aws.ecs' && startedBy.includes(taskId) && lastStatus === 'STOPPED';
      });
      expect(ends.map(({ detail }) => (detail as { containers?: unknown }).containers)).toEqual([[], []]);
      await scene.quiet();
      const heard = await absorbed(taskId);
      await scene.world.publish(ends.map((end) => ({ ...end, id: `${end.id}-late` })));
      await eventually(
        async () => ((await absorbed(taskId)) >= heard + ends.length ? true : undefined),
        'both to be noted',
      );
      await scene.quiet();
      const { status, version, attempt, settledAt } = before;
      expect(await scene.world.view(taskId)).toMatchObject({ status, version, attempt, settledAt });
    });
  });

  /** How many events about a task changed nothing. */
  const absorbed = async (taskId: string): Promise<number> => {
    const { ignored, duplicates } = await scene.world.journal(taskId);
    return ignored.length + duplicates;
  };
});

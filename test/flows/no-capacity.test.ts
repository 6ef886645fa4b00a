import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { because } from '../../schemas/reason.ts';
import { onEveryWorld } from './every-world.ts';
import type { FlowScene } from './scene.ts';

onEveryWorld((openScene, { itEmbedded }) => {
  // F1, F19: a start that fails is an event like every other; nobody waits for a deadline to learn of it.
  describe('a back end that starts nothing', () => {
    let scene: FlowScene;
    const refusals = new Map<number, ReturnType<typeof because>>([
      [1, because('no_capacity', 'Capacity is unavailable at this time. Please try again later.')],
      [2, because('start_throttled', 'Rate exceeded')],
    ]);
    beforeAll(async () => {
      scene = await openScene({ failStart: ({ attempt }) => refusals.get(attempt) });
    });
    afterAll(() => scene.close());

    it('for want of capacity, then of rate, has the task back off twice, and then run', async () => {
      const taskId = await scene.submit('echo done > done.txt', { attempts: 3 });
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 3 });
      const lost = scene.events
        .filter((event) => event['detail-type'] === 'RunLost')
        .map(({ detail }) => (detail as { data: { reason: { code: string; message: string } } }).data.reason);
      expect(new Map(lost.map(({ code, message }) => [code, message]))).toEqual(
        new Map([
          ['no_capacity', expect.stringContaining('Capacity is unavailable at this time.')],
          ['start_throttled', expect.stringContaining('Rate exceeded')],
        ]),
      );
      // Decided by the answer to the start: no alarm had to ring, nothing was given up.
      const stops = task.history.filter(({ to }) => to === 'STOPPING');
      expect(stops.map(({ cause }) => cause.type)).toEqual(['StartRefused', 'StartRefused']);
      expect(scene.deadLetters).toEqual([]);
    });

    itEmbedded('till its attempts are used up fails the task with the reason of the back end, once', async () => {
      const taskId = await scene.submit('true', { attempts: 2 });
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({
        status: 'FAILED',
        attempt: 2,
        reason: { code: 'start_throttled' },
        run: { ended: { proof: 'never_started' } },
      });
      expect(scene.factsOf(taskId).filter((type) => type === 'TaskFailed')).toHaveLength(1);
    });
  });
});

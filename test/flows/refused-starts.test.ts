import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { because, type Reason, remedyFor } from '../../schemas/reason.ts';
import { onEveryWorld } from './every-world.ts';
import { lossesOf } from './facts.ts';
import type { FlowScene } from './scene.ts';

/** Stories of starts that fail, told in one world. */
onEveryWorld((openScene, { itEmbedded }) => {
  let scene: FlowScene;
  /** Why the first, the second… attempt of a task does not start. */
  let refusals: (Reason | string)[] = [];
  beforeAll(async () => {
    scene = await openScene({ failStart: ({ attempt }) => refusals[attempt - 1] });
  });
  afterAll(() => scene.close());

  // F1, F19: a start that fails is an event like every other; nobody waits for a deadline to learn of it.
  describe('a back end that starts nothing', () => {
    beforeAll(() => {
      refusals = [
        because('no_capacity', 'Capacity is unavailable at this time. Please try again later.'),
        because('start_throttled', 'Rate exceeded'),
      ];
    });

    it('for want of capacity, then of rate, has the task back off twice, and then run', async () => {
      const taskId = await scene.submit('echo done > done.txt', { attempts: 3 });
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 3 });
      expect(lossesOf(scene, taskId)).toEqual([
        { code: 'no_capacity', message: expect.stringContaining('Capacity is unavailable at this time.') },
        { code: 'start_throttled', message: expect.stringContaining('Rate exceeded') },
      ]);
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

  describe('a run that ECS cannot start', () => {
    const NOT_FOUND = 'CannotPullContainerError: pull image manifest has been retried 5 time(s): not found';
    beforeAll(() => {
      refusals = [NOT_FOUND];
    });

    it('is tried again; what was missing may be there by then', async () => {
      const taskId = await scene.submit('echo done > done.txt');
      expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(lossesOf(scene, taskId)).toEqual([{ code: 'image_unavailable', message: NOT_FOUND }]);
    });

    itEmbedded('fails its task with the words of ECS where no attempt is left, and never ran', async () => {
      const taskId = await scene.submit('true', { attempts: 1 });
      expect(await scene.settled(taskId)).toMatchObject({
        status: 'FAILED',
        reason: { code: 'image_unavailable', message: NOT_FOUND },
        run: { ended: { proof: 'never_started' } },
      });
      expect(remedyFor('image_unavailable')).toContain('image');
    });
  });
});

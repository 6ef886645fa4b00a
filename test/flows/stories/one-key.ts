import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Stories } from '../every-world.ts';
import { insist, linesOf } from '../scene.ts';

export const oneKey: Stories = (scene, { itEmbedded }) => {
  describe('twenty simultaneous requests with one idempotency key', () => {
    it('are one task, which runs once', async () => {
      const starts = join(scene().folder, 'starts');
      const request = {
        repository: scene().remote,
        prompt: 'Once.',
        agentCommand: `echo start >> ${starts}`,
        idempotencyKey: 'only-once',
      };
      const answers = await Promise.all(Array.from({ length: 20 }, () => insist(() => scene().world.submit(request))));
      const ids = new Set(answers.map(({ taskId }) => taskId));
      expect(ids.size).toBe(1);
      expect(await scene().settled([...ids][0] ?? '')).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      expect(await scene().world.list()).toHaveLength(1);
      expect(linesOf(starts)).toEqual(['start']);
    });

    itEmbedded('answer other content with the first task, and say so', async () => {
      const request = { repository: scene().remote, prompt: 'First.', agentCommand: 'true', idempotencyKey: 'reused' };
      const first = await insist(() => scene().world.submit(request));
      const second = await insist(() => scene().world.submit({ ...request, prompt: 'Second.' }));
      expect(second).toMatchObject({ taskId: first.taskId, reused: true });
      expect((await insist(() => scene().world.submit(request))).reused).toBeUndefined();
      await scene().settled(first.taskId);
      expect(scene().factsOf(first.taskId)).toContain('IdempotencyKeyReused');
    });
  });
};

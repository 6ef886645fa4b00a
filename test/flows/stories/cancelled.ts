import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Stories } from '../every-world.ts';
import { lives, numberIn } from '../scene.ts';

export const cancelled: Stories = (scene, { itEmbedded }) => {
  describe('a running task that is cancelled', () => {
    it('is CANCELLED, its process is gone, and its work is saved', async () => {
      const file = join(scene().folder, 'called-off');
      const taskId = await scene().submit(`echo begun > begun.txt; echo $$ > ${file}; sleep 300`);
      const pid = await numberIn(file);
      expect(lives(pid)).toBe(true);

      const asked = await scene().world.cancel(taskId, 'not needed any more');
      expect(['STOPPING', 'CANCELLED']).toContain(asked.status);
      const task = await scene().settled(taskId);

      expect(task).toMatchObject({
        status: 'CANCELLED',
        attempt: 1,
        reason: { code: 'cancelled', message: 'not needed any more' },
        savedWork: { branch: `baton/${taskId}` },
        run: { ended: { proof: 'proven' } },
      });
      expect(lives(pid)).toBe(false);
      expect(scene().inRemote('show', `baton/${taskId}:begun.txt`)).toBe('begun');
    });

    itEmbedded('answers a second cancel with the same end', async () => {
      const taskId = await scene().submit('sleep 300');
      await scene().world.cancel(taskId);
      const task = await scene().settled(taskId);
      expect(await scene().world.cancel(taskId)).toMatchObject({ status: 'CANCELLED', version: task.version });
    });
  });

  describe('a task that has ended', () => {
    itEmbedded('cannot be cancelled', async () => {
      const taskId = await scene().submit('true');
      await scene().settled(taskId);
      await expect(scene().world.cancel(taskId)).rejects.toMatchObject({ code: 'task_ended' });
      expect(await scene().world.view(taskId)).toMatchObject({ status: 'COMPLETED' });
    });
  });
};

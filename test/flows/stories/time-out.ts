import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Stories } from '../every-world.ts';
import { lives, numberIn } from '../scene.ts';

export const timeOut: Stories = (scene) => {
  describe('an agent that needs longer than its time-out', () => {
    it('is stopped: TIMED_OUT, its process gone, its work saved', async () => {
      const file = join(scene().folder, 'overdue');
      const taskId = await scene().submit(`echo begun > begun.txt; echo $$ > ${file}; sleep 300`, {
        timeoutSeconds: 3,
      });
      const pid = await numberIn(file);
      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'TIMED_OUT', attempt: 1, reason: { code: 'timed_out' } });
      expect(task.endedAt! > task.deadlineAt).toBe(true);
      expect(lives(pid)).toBe(false);
      expect(scene().inRemote('show', `baton/${taskId}:begun.txt`)).toBe('begun');
    });
  });
};

import { describe, expect, it } from '@jest/globals';
import { taskKey } from '../../../runtime/records.ts';
import { taskIdFor } from '../../../runtime/task-id.ts';
import { aRequest } from '../../builders.ts';
import type { Stories } from '../every-world.ts';
import { eventually } from '../scene.ts';

export const namedRequester: Stories = (scene) => {
  describe('a principal that asks under a source of its own', () => {
    it('gets tasks in its own name, and may cancel them', async () => {
      const lettersBefore = scene().deadLetters.length;
      const asked = {
        repository: scene().remote,
        prompt: 'Wait.',
        idempotencyKey: 'named',
        agentCommand: 'sleep 300',
      };
      const taskId = taskIdFor('ada', { key: 'named' });
      await scene().world.publish([{ ...aRequest('TaskRequested', asked), source: 'baton.request.ada' }]);
      await eventually(() => scene().world.record(taskKey(taskId)), 'the task');
      const running = await scene().until(taskId, ({ status }) => status === 'RUNNING', 'to run');
      expect(running.userId).toBe('ada');
      const cancel = (name: string) =>
        scene().world.publish([
          { ...aRequest('TaskCancelRequested', { taskId }, `cancel-of-${name}`), source: `baton.request.${name}` },
        ]);
      await cancel('bob');
      await cancel('ada');
      expect(await scene().settled(taskId)).toMatchObject({ status: 'CANCELLED' });
      expect(scene().deadLetters).toHaveLength(lettersBefore);
    });
  });
};

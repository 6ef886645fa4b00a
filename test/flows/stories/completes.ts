import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { taskView } from '../../../schemas/task-view.ts';
import type { Stories } from '../every-world.ts';
import { eventually } from '../scene.ts';

export const completes: Stories = (scene, { itEmbedded }) => {
  describe('an agent that changes the repository', () => {
    it('completes with its work on a pushed branch, and settles', async () => {
      const taskId = await scene().submit('cat > hello.txt; echo "said hello"', { prompt: 'Say "hello" & $(nothing)' });
      const task = await scene().settled(taskId);

      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1, due: {}, result: { branch: `baton/${taskId}` } });
      expect(task.result).toMatchObject({ filesChanged: 1, insertions: 1, deletions: 0 });
      expect(scene().inRemote('show', `baton/${taskId}:hello.txt`)).toBe('Say "hello" & $(nothing)');
      expect(scene().inRemote('rev-parse', `baton/${taskId}`)).toBe(task.result?.commit);
      expect(taskView.parse(task)).toEqual(task);
      expect(task.history.map(({ to }) => to)).toEqual([
        'SUBMITTED',
        'ADMITTED',
        'HYDRATED',
        'STARTING',
        'RUNNING',
        'COMPLETED',
      ]);
      expect(task.run).toMatchObject({ attempt: 1, ended: { proof: 'proven', exitCode: 0 } });
      expect(await scene().world.unsettled()).toBe(0);
    });

    it('keeps its log, and neither its workspace nor its prompt', async () => {
      const taskId = await scene().submit('echo "working hard"; echo x > x');
      await scene().settled(taskId);
      const runDir = dirname(await scene().world.logPath(taskId));
      expect(await scene().log(taskId)).toMatch(/^working hard$/m);
      expect(existsSync(join(runDir, 'report.json'))).toBe(true);
      expect(existsSync(join(runDir, 'workspace'))).toBe(false);
      expect(existsSync(join(runDir, 'prompt.txt'))).toBe(false);
      // A late copy of the request may hold its prompt for a moment.
      await eventually(
        async () => ((await scene().world.payloadCount()) === 0 ? true : undefined),
        'no payload is left',
      );
    });
  });

  describe('an agent that changes nothing', () => {
    itEmbedded('completes without a branch', async () => {
      const taskId = await scene().submit('true');
      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', result: { branch: null, commit: null, filesChanged: 0 } });
      expect(scene().inRemote('branch', '--list', `baton/${taskId}`)).toBe('');
    });
  });
};

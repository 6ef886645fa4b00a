import { describe, expect, it } from '@jest/globals';
import { openScene } from './scene.ts';

describe('embedded, a repository whose configuration refers to variables', () => {
  it('has its agents get the values that stand where the world was started, and fails what lacks one', async () => {
    const scene = await openScene();
    const configured = (environment: Record<string, string>, id: string) =>
      scene.world.engine.ports.configurations.set(scene.remote, { environment }, { id, at: new Date().toISOString() });
    try {
      await configured({ SEARCH_PATH: 'variable:PATH' }, 'request-1');
      const taskId = await scene.submit('printf %s "$SEARCH_PATH" > path.txt');
      expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED' });
      const { PATH } = process.env;
      expect(scene.inRemote('show', `baton/${taskId}:path.txt`)).toBe(PATH);

      await configured({ KEY: 'variable:A_NAME_THAT_NOBODY_SETS' }, 'request-2');
      const task = await scene.settled(await scene.submit('true'));
      expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'environment_missing' } });
      expect(task.reason?.message).toContain('KEY (from variable:A_NAME_THAT_NOBODY_SETS)');
    } finally {
      await scene.close();
    }
  });
});

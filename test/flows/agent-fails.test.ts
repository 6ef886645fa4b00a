import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { onEveryWorld } from './every-world.ts';
import type { FlowScene } from './scene.ts';

onEveryWorld((openScene) => {
  let scene: FlowScene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene.close());

  describe('an agent that crashes', () => {
    it('fails its task at once with its exit code and last words, without another attempt', async () => {
      const taskId = await scene.submit('echo "cannot go on" >&2; exit 3');
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'agent_failed' } });
      expect(task.reason?.message).toContain('exit code 3');
      expect(task.reason?.message).toContain('cannot go on');
      expect(scene.factsOf(taskId).filter((type) => type === 'TaskFailed')).toHaveLength(1);
    });

    it('has its unfinished work saved on the branch', async () => {
      const taskId = await scene.submit('echo half > half.txt; kill -SEGV $$');
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'FAILED', savedWork: { branch: `baton/${taskId}` } });
      expect(scene.inRemote('show', `baton/${taskId}:half.txt`)).toBe('half');
    });
  });

  describe('what cannot be run', () => {
    it.each([
      ['an agent command that does not exist', { agentCommand: 'no-such-agent-anywhere' }, 'agent_not_found'],
      ['a repository that does not exist', { repository: '/nowhere/at/all' }, 'clone_failed'],
      ['a base branch that does not exist', { baseBranch: 'no-such-branch' }, 'base_branch_missing'],
    ])('%s fails the task with the reason', async (_what, request, code) => {
      const task = await scene.settled(await scene.submit('true', request));
      expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code } });
    });
  });
});

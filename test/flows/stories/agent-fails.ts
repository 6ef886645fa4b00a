import { describe, expect, it } from '@jest/globals';
import type { Stories } from '../every-world.ts';

export const agentFails: Stories = (scene, { itEmbedded }) => {
  describe('an agent that crashes', () => {
    it('fails its task at once with its exit code and last words, without another attempt', async () => {
      const taskId = await scene().submit('echo "cannot go on" >&2; exit 3');
      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'agent_failed' } });
      expect(task.reason?.message).toContain('exit code 3');
      expect(task.reason?.message).toContain('cannot go on');
      expect(
        scene()
          .factsOf(taskId)
          .filter((type) => type === 'TaskFailed'),
      ).toHaveLength(1);
    });

    itEmbedded('has its unfinished work saved on the branch', async () => {
      const taskId = await scene().submit('echo half > half.txt; kill -SEGV $$');
      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'FAILED', savedWork: { branch: `baton/${taskId}` } });
      expect(scene().inRemote('show', `baton/${taskId}:half.txt`)).toBe('half');
    });
  });

  describe('an agent that fails although its task asked for another try', () => {
    it('is run again from the work that it saved', async () => {
      const taskId = await scene().submit(
        'if [ -e half.txt ]; then echo b > rest.txt; else echo a > half.txt; exit 3; fi',
        {
          retryAgentFailure: true,
        },
      );
      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2, result: { filesChanged: 2 } });
      expect(scene().inRemote('show', `baton/${taskId}:half.txt`)).toBe('a');
      expect(scene().inRemote('rev-list', '--count', `main..baton/${taskId}`)).toBe('2');
    });

    itEmbedded('fails with its own reason when no attempt is left', async () => {
      const taskId = await scene().submit('exit 3', { retryAgentFailure: true, attempts: 2 });
      expect(await scene().settled(taskId)).toMatchObject({
        status: 'FAILED',
        attempt: 2,
        reason: { code: 'agent_failed' },
      });
    });
  });

  describe('what cannot be run', () => {
    itEmbedded.each([
      ['an agent command that does not exist', { agentCommand: 'no-such-agent-anywhere' }, 'agent_not_found'],
      ['a repository that does not exist', { repository: '/nowhere/at/all' }, 'clone_failed'],
      ['a base branch that does not exist', { baseBranch: 'no-such-branch' }, 'base_branch_missing'],
    ])('%s fails the task with the reason', async (_what, request, code) => {
      const task = await scene().settled(await scene().submit('true', request));
      expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code } });
    });
  });
};

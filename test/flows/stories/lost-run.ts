import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { supervisorRecord } from '../../../schemas/supervised-run.ts';
import type { Stories } from '../every-world.ts';
import { eventually, linesOf, lives } from '../scene.ts';

export const lostRun: Stories = (scene, { itEmbedded }) => {
  /** Waits for ever in the first attempt, and does its work in the next. */
  const secondTimeLucky = (name: string): string => {
    const starts = join(scene().folder, name);
    return `echo $$ >> ${starts}; if [ $(wc -l < ${starts}) -ge 2 ]; then echo done > done.txt; else sleep 300; fi`;
  };

  async function firstStart(name: string): Promise<number> {
    return eventually(() => Number(linesOf(join(scene().folder, name))[0] ?? 0) || undefined, 'the first start');
  }

  async function processesOf(taskId: string): Promise<{ pid: number; childPid: number }> {
    const runDir = dirname(await scene().world.logPath(taskId, 1));
    return supervisorRecord.parse(JSON.parse(readFileSync(join(runDir, 'supervisor.json'), 'utf8')));
  }

  describe('a runner that is killed', () => {
    it('is lost, and the next attempt completes', async () => {
      const taskId = await scene().submit(secondTimeLucky('runner'));
      const agent = await firstStart('runner');
      process.kill((await processesOf(taskId)).childPid, 'SIGKILL');

      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2, result: { branch: `baton/${taskId}` } });
      expect(lives(agent)).toBe(false);
      expect(linesOf(join(scene().folder, 'runner'))).toHaveLength(2);
      const lost = task.history.find(({ to }) => to === 'BACKOFF');
      expect(lost?.facts.map(({ type }) => type)).toEqual(['RunLost']);
      expect(await scene().log(taskId, 1)).not.toBe('');
    });
  });

  describe('a supervisor that is killed', () => {
    itEmbedded('takes its run with it, and the next attempt completes', async () => {
      const taskId = await scene().submit(secondTimeLucky('supervisor'));
      const agent = await firstStart('supervisor');
      process.kill((await processesOf(taskId)).pid, 'SIGKILL');

      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(lives(agent)).toBe(false);
      expect(linesOf(join(scene().folder, 'supervisor'))).toHaveLength(2);
    });
  });

  describe('a task that may have one attempt only', () => {
    itEmbedded('fails when its run is killed', async () => {
      const taskId = await scene().submit(secondTimeLucky('only'), { attempts: 1 });
      await firstStart('only');
      process.kill((await processesOf(taskId)).childPid, 'SIGKILL');
      expect(await scene().settled(taskId)).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'killed' } });
    });
  });
};

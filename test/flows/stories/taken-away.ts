import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Interruption } from '../../../runtime/engine/local-ecs.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import { written } from '../../written.ts';
import { configure } from '../configure.ts';
import type { Stories } from '../every-world.ts';
import { eventually, linesOf } from '../scene.ts';

export const takenAway: Stories = (scene, { itEmbedded }) => {
  /** Does one half of its work in each attempt, and waits for ever behind the first half. */
  const inHalves = (name: string): string => {
    const starts = join(scene().folder, name);
    return `echo start >> ${starts}; if [ -e first.txt ]; then echo b > second.txt; else echo a > first.txt; echo half >> ${starts}; sleep 300; fi`;
  };
  const half = (name: string) =>
    eventually(() => (linesOf(join(scene().folder, name)).includes('half') ? true : undefined), 'half of the work');

  const changesOf = (taskId: string, attempt: number): Record<string, unknown>[] =>
    scene()
      .events.filter((event: Envelope) => event.source === 'aws.ecs')
      .map(({ detail }) => detail as Record<string, unknown>)
      .filter(({ startedBy }) => startedBy === `baton/${scene().world.stage}/${taskId}/${attempt}`);

  // F32
  describe('a run whose Spot capacity is taken back', () => {
    it('goes on from its saved work in the next attempt, not at the warning but at the end; other tasks do not notice', async () => {
      const gate = join(scene().folder, 'gate');
      const other = await scene().submit(`while [ ! -e ${gate} ]; do sleep 0.05; done; echo done > other.txt`);
      await configure(scene(), { capacity: 'spot' });
      const taskId = await scene().submit(inHalves('spot'));
      await scene().until(other, ({ status }) => status === 'RUNNING', 'to run');
      await half('spot');
      await interrupted(taskId, 'spot');

      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2, result: { filesChanged: 2 } });
      expect(scene().inRemote('show', `baton/${taskId}:first.txt`)).toBe('a');
      expect(scene().inRemote('show', `baton/${taskId}:second.txt`)).toBe('b');
      const stopping = task.history.find(({ to }) => to === 'STOPPING');
      const lost = factOf(taskId, 'RunLost');
      expect(lost).toMatchObject({ reason: { code: 'spot_interrupted' }, savedWork: { branch: `baton/${taskId}` } });
      const changes = changesOf(taskId, 1);
      const warning = changes.find(({ lastStatus, stopCode }) => lastStatus === 'RUNNING' && stopCode !== undefined);
      const end = changes.find(({ lastStatus }) => lastStatus === 'STOPPED');
      expect([warning?.['stopCode'], end?.['stopCode']]).toEqual(['SpotInterruption', 'SpotInterruption']);
      expect(stopping?.cause.id).toBe(`${end?.['taskArn']}#${end?.['version']}`);

      expect([warning, end].map((change) => change?.['capacityProviderName'])).toEqual([
        'FARGATE_SPOT',
        'FARGATE_SPOT',
      ]);

      // The other was accepted before: its capacity is on demand, and nobody takes that back.
      expect(await scene().world.interrupt(other, 'spot')).toBe(false);
      writeFileSync(gate, '');
      expect(await scene().settled(other)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      await configure(scene(), null);
    });
  });

  describe('a run whose host dies', () => {
    itEmbedded('is lost, and begins again in the next attempt', async () => {
      const starts = join(scene().folder, 'host');
      const taskId = await scene().submit(
        `echo start >> ${starts}; if [ $(wc -l < ${starts}) -ge 2 ]; then echo done > done.txt; else sleep 300; fi`,
      );
      await eventually(() => written(starts), 'the first start');
      await interrupted(taskId, 'host');

      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(factOf(taskId, 'RunLost')).toMatchObject({ reason: { code: 'host_lost' }, savedWork: null });
    });
  });

  /** The native id of a run is known when its handle is; a task that works has one. */
  const interrupted = (taskId: string, how: Interruption) =>
    eventually(async () => ((await scene().world.interrupt(taskId, how)) ? true : undefined), 'a run to interrupt');

  const factOf = (taskId: string, type: string): unknown =>
    scene()
      .events.filter((event) => event['detail-type'] === type)
      .map(({ detail }) => detail as { metadata: { taskId?: string }; data: unknown })
      .find(({ metadata }) => metadata.taskId === taskId)?.data;
};

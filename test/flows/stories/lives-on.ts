import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { runKey } from '../../../runtime/records.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import type { RunRecord } from '../../../schemas/run-record.ts';
import type { Stories } from '../every-world.ts';
import { eventually, linesOf } from '../scene.ts';

export const livesOn: Stories = (scene, { itEmbedded }) => {
  // F12
  describe('a run that lives on after ECS has said that it stopped', () => {
    it('is refused when it wants to push, and told to people once; the next attempt succeeds', async () => {
      const starts = join(scene().folder, 'starts');
      const [first, second] = [join(scene().folder, 'gate-1'), join(scene().folder, 'gate-2')];
      const upTo = (gate: string): string => `while [ ! -e ${gate} ]; do sleep 0.05; done`;
      const taskId = await scene().submit(
        `echo start >> ${starts}; if [ $(wc -l < ${starts}) -ge 2 ]; then ${upTo(second)}; echo second > who.txt; else ${upTo(first)}; echo first > who.txt; fi`,
      );
      await eventually(() => linesOf(starts)[0], 'the first start');
      const running = await eventually(() => runningEvent(taskId), 'the word of ECS that it runs');
      await scene().world.publish([stopOf(running)]);
      await scene().until(taskId, ({ attempt, status }) => attempt === 2 && status === 'RUNNING', 'to run again');
      await eventually(() => linesOf(starts)[1], 'the second start');
      expect(orphansOf(taskId)).toEqual([]);

      // The first agent ends its work, and its runner wants to push it.
      writeFileSync(first, '');
      const [orphan] = await eventually(
        () => (orphansOf(taskId).length > 0 ? orphansOf(taskId) : undefined),
        'an orphan',
      );
      expect(orphan).toMatchObject({
        startedBy: `baton/${scene().world.stage}/${taskId}/1`,
        nativeId: running.taskArn,
        message: expect.stringContaining('attempt 1 had ended'),
      });
      await eventually(
        async () => (await scene().log(taskId, 1)).includes('leaving') || undefined,
        'the runner to leave',
      );
      expect(scene().inRemote('branch', '--list', `baton/${taskId}`)).toBe('');
      expect(await scene().world.record(runKey(taskId, 1))).toMatchObject({
        closed: true,
        outlivedAt: expect.any(String),
      } satisfies Partial<Record<keyof RunRecord, unknown>>);

      writeFileSync(second, '');
      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(scene().inRemote('show', `baton/${taskId}:who.txt`)).toBe('second');
      // What it said comes once more, now that its task has settled.
      const said = scene().events.filter(
        ({ 'detail-type': type, detail }) =>
          type === 'RunFenced' && (detail as { data: { taskId: string } }).data.taskId === taskId,
      );
      expect(said).toHaveLength(1);
      await scene().world.publish(said.map((event) => ({ ...event, id: `${event.id}-again` })));
      await scene().quiet();
      // So long after, it counts as a retry, which says the same fact: each id is one here.
      expect(
        scene()
          .factsOf(taskId)
          .filter((type) => type === 'RunOrphaned'),
      ).toEqual(['RunOrphaned']);
      expect(await scene().world.view(taskId)).toMatchObject({ status: 'COMPLETED', version: task.version });
      expect(scene().deadLetters).toEqual([]);
    });
  });

  describe('a run that ends when ECS says so', () => {
    itEmbedded('is no orphan, however late its last words come', async () => {
      const starts = join(scene().folder, 'ordinary');
      const taskId = await scene().submit(
        `echo start >> ${starts}; if [ $(wc -l < ${starts}) -ge 2 ]; then echo done > done.txt; else echo hello; sleep 300; fi`,
      );
      await eventually(() => linesOf(starts)[0], 'the first start');
      await eventually(async () => ((await scene().world.interrupt(taskId, 'host')) ? true : undefined), 'its run');
      expect(await scene().settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      const words = scene().events.filter(({ source, detail }) => {
        const { data } = detail as { data?: { taskId?: string; attempt?: number } };
        return source === 'baton.agent' && data?.taskId === taskId && data.attempt === 1;
      });
      expect(words.map((event) => event['detail-type'])).toContain('RunClaimed');
      await scene().world.publish(words.map((event) => ({ ...event, id: `${event.id}-late` })));
      await eventually(async () => {
        const { ignored } = await scene().world.journal(taskId);
        return ignored.some(({ reason }) => reason === 'progress_is_fenced') || undefined;
      }, 'what it said last to be refused');
      await scene().quiet();
      expect(orphansOf(taskId)).toEqual([]);
    });
  });

  const runningEvent = (taskId: string): EcsDetail | undefined =>
    scene()
      .events.filter(({ source }) => source === 'aws.ecs')
      .map(({ detail }) => detail as EcsDetail)
      .find(({ startedBy = '', lastStatus }) => startedBy.endsWith(`/${taskId}/1`) && lastStatus === 'RUNNING');

  const orphansOf = (taskId: string): unknown[] =>
    scene()
      .events.filter((event) => event['detail-type'] === 'RunOrphaned')
      .map(({ detail }) => detail as { metadata: { taskId?: string }; data: unknown })
      .filter(({ metadata }) => metadata.taskId === taskId)
      .map(({ data }) => data);
};

interface EcsDetail {
  readonly taskArn: string;
  readonly startedBy?: string;
  readonly lastStatus: string;
  readonly version: number;
}

/** What ECS would say if the host of a run were gone, of one that is not. */
const stopOf = (running: EcsDetail): Envelope => ({
  version: '0',
  id: `${running.taskArn}-untrue`,
  'detail-type': 'ECS Task State Change',
  source: 'aws.ecs',
  account: '000000000000',
  time: new Date().toISOString(),
  region: 'local',
  resources: [running.taskArn],
  detail: {
    ...running,
    lastStatus: 'STOPPED',
    desiredStatus: 'STOPPED',
    version: running.version + 100,
    stopCode: 'InfrastructureHealth',
    stoppedReason: 'The host of the task became impaired.',
  },
});

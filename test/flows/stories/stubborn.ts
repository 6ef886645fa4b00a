import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../../schemas/envelope.ts';
import type { Stories } from '../every-world.ts';
import { lives, numberIn } from '../scene.ts';

const ignoring = (file: string): string =>
  `trap "" TERM; echo begun > begun.txt; echo $$ > ${file}; while :; do sleep 0.2; done`;

// F3: a deliberate stop looks like a crash.
export const stubborn: Stories = (scene, { itEmbedded }) => {
  describe('an agent that ignores SIGTERM', () => {
    // Beside each other: most of the time each waits for the end of the patience with its agent.
    itEmbedded('is killed, and its task is CANCELLED or TIMED_OUT as it was going to be', async () => {
      await Promise.all([endsAs('CANCELLED', 'cancelled', 600), endsAs('TIMED_OUT', 'timed_out', 4)]);
    });

    async function endsAs(status: string, code: string, timeoutSeconds: number): Promise<void> {
      const file = join(scene().folder, status);
      const taskId = await scene().submit(ignoring(file), { timeoutSeconds });
      const pid = await numberIn(file);
      if (status === 'CANCELLED') await scene().world.cancel(taskId);
      const task = await scene().settled(taskId);
      expect(task).toMatchObject({ status, attempt: 1, reason: { code }, run: { ended: { proof: 'proven' } } });
      expect(lives(pid)).toBe(false);
      expect(scene().inRemote('show', `baton/${taskId}:begun.txt`)).toBe('begun');
      expect(scene().factsOf(taskId)).not.toContain('RunLost');
    }
  });

  describe('a run whose runner hangs', () => {
    it('is killed with exit code 137, and its task is CANCELLED, not FAILED and not tried again', async () => {
      const file = join(scene().folder, 'hung');
      const taskId = await scene().submit(`kill -STOP $PPID; ${ignoring(file)}`);
      const pid = await numberIn(file);
      await scene().world.cancel(taskId, 'not needed any more');
      const task = await scene().settled(taskId);
      expect(task).toMatchObject({
        status: 'CANCELLED',
        attempt: 1,
        reason: { code: 'cancelled', message: 'not needed any more' },
        run: { ended: { proof: 'proven', exitCode: 137 } },
      });
      expect(lives(pid)).toBe(false);
      const stops = scene()
        .events.filter(isStopOf(taskId))
        .map(({ detail }) => detail as { stopCode?: string });
      expect(stops.map(({ stopCode }) => stopCode)).toEqual(['UserInitiated']);
      expect(scene().factsOf(taskId)).not.toContain('RunLost');
      expect(scene().factsOf(taskId)).not.toContain('RunOrphaned');
    });
  });
};

const isStopOf =
  (taskId: string) =>
  ({ source, detail }: Envelope): boolean => {
    const { startedBy = '', lastStatus } = detail as { startedBy?: string; lastStatus?: string };
    return source === 'aws.ecs' && startedBy.includes(taskId) && lastStatus === 'STOPPED';
  };

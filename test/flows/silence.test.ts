import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../schemas/envelope.ts';
import { FIRST_OUTPUT_MIN_S } from '../../schemas/task-request.ts';
import { linesOf, openScene } from './scene.ts';

/** Longer than a first word may take, in seconds. */
const LONG_S = FIRST_OUTPUT_MIN_S + 2;

// With a virtual clock the simulation tells the same; here processes, pipes and timers are real, and so is the shortest bound.
describe('embedded, a repository whose agents must say something soon', () => {
  it('has one that says nothing tried again, and leaves one in peace that spoke once and then works in silence', async () => {
    const scene = await openScene();
    try {
      await scene.world.engine.ports.configurations.set(
        scene.remote,
        { firstOutputSeconds: FIRST_OUTPUT_MIN_S },
        { id: 'request-1', at: new Date().toISOString() },
      );
      const starts = join(scene.folder, 'starts');
      // F21
      const stalling = await scene.submit(
        `echo start >> ${starts}; if [ $(wc -l < ${starts}) -ge 2 ]; then echo done > done.txt; else sleep 300; fi`,
      );
      // F27: the tool that it calls takes its time.
      const quiet = await scene.submit(`echo "building"; sleep ${LONG_S}; echo done > done.txt`);

      const stalled = await scene.until(stalling, ({ attempt }) => attempt === 2, 'to be tried again', 120_000);
      const lost = stalled.history.find(({ to }) => to === 'STOPPING');
      expect(lost?.cause.type).toBe('AlarmRang');
      expect(await scene.settled(stalling)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(linesOf(starts)).toHaveLength(2);
      expect(reasonsOfLoss(scene.events)).toEqual(new Set(['stalled']));
      expect(await scene.settled(quiet)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      expect(scene.factsOf(quiet)).not.toContain('RunStopRequested');
    } finally {
      await scene.close();
    }
  }, 240_000);
});

const reasonsOfLoss = (events: readonly Envelope[]): Set<string> =>
  new Set(
    events
      .filter((event) => event['detail-type'] === 'RunLost')
      .map(({ detail }) => (detail as { data: { reason: { code: string } } }).data.reason.code),
  );

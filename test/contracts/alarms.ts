import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Alarms } from '../../runtime/ports.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { aTaskId, at } from '../builders.ts';
import type { VirtualTime } from '../runtime/engine/virtual-time.ts';

export interface PresentAlarms {
  readonly alarms: Alarms;
  /** Moves the alarm clock and whatever it is made of; begins at `at(0)`. */
  readonly time: VirtualTime;
  /** What was delivered so far. */
  readonly heard: readonly Envelope[];
}

/** What every alarm clock promises, whatever it is made of. */
export function alarmsContract(name: string, open: () => Promise<PresentAlarms>): void {
  describe(`an alarm of ${name}`, () => {
    let present: PresentAlarms;
    beforeEach(async () => {
      present = await open();
    });
    const arm = (seconds: number, taskId = aTaskId()) => present.alarms.arm(taskId, at(seconds));
    const rings = () => present.heard.filter((event) => event['detail-type'] === 'AlarmRang').map(({ id }) => id);
    const ring = (seconds: number, taskId = aTaskId()) => `alarm#${taskId}#${at(seconds)}`;

    it.each([0.5, 10, 900, 901, 86_400])('rings %d s from now at its time, and not before', async (seconds) => {
      await arm(seconds);
      await present.time.pass(seconds - 0.001);
      expect(rings()).toEqual([]);
      await present.time.pass(1);
      expect(rings()).toEqual([ring(seconds)]);
    });

    it.each([0, -5, -86_400])('rings at once when its time was %d s from now', async (seconds) => {
      await arm(seconds);
      await present.time.pass(1);
      expect(rings()).toEqual([ring(seconds)]);
    });

    it.each([10, 5_000])('that is set twice for %d s from now rings, at least once', async (seconds) => {
      await Promise.all([arm(seconds), arm(seconds)]);
      await arm(seconds);
      await present.time.pass(seconds + 1);
      expect(new Set(rings())).toEqual(new Set([ring(seconds)]));
    });

    it.each([10, 5_000])('rings for each time and each task, even within second %d', async (seconds) => {
      await arm(seconds + 0.5);
      await arm(seconds + 0.25);
      await arm(seconds + 0.25, aTaskId('green'));
      await present.time.pass(seconds + 1);
      expect(rings().sort()).toEqual(
        [ring(seconds + 0.25), ring(seconds + 0.5), ring(seconds + 0.25, aTaskId('green'))].sort(),
      );
    });
  });
}

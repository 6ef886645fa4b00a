import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { alarmClock } from '../../../runtime/engine/alarm-clock.ts';
import { at } from '../../builders.ts';
import { virtualTime } from './virtual-time.ts';

function aClock() {
  const time = virtualTime();
  const rung: string[] = [];
  const clock = alarmClock(time, (taskId, when) => rung.push(`${taskId} ${when} rang ${time.now()}`));
  return { time, clock, rung };
}

describe('the alarm clock', () => {
  it('rings at the time it was set for, and not before', async () => {
    const { time, clock, rung } = aClock();
    await clock.arm('red', at(10));
    await time.pass(9.999);
    expect(rung).toEqual([]);
    await time.pass(0.001);
    expect(rung).toEqual([`red ${at(10)} rang ${at(10)}`]);
  });

  it('rings at once for a time that has passed', async () => {
    const { time, clock, rung } = aClock();
    await time.pass(60);
    await clock.arm('red', at(10));
    await time.pass(0);
    expect(rung).toEqual([`red ${at(10)} rang ${at(60)}`]);
  });

  it('rings once for a time that several set', async () => {
    const { time, clock, rung } = aClock();
    await clock.arm('red', at(10));
    await clock.arm('red', at(10));
    await time.pass(20);
    expect(rung).toHaveLength(1);
  });

  it('can be set for the same time again when that has rung', async () => {
    const { time, clock, rung } = aClock();
    await clock.arm('red', at(10));
    await time.pass(10);
    await clock.arm('red', at(10));
    await time.pass(0);
    expect(rung).toHaveLength(2);
  });

  it('rings for an earlier time that was set later', async () => {
    const { time, clock, rung } = aClock();
    await clock.arm('red', at(100));
    await clock.arm('green', at(10));
    await time.pass(10);
    expect(rung).toEqual([`green ${at(10)} rang ${at(10)}`]);
  });

  it('forgets a task, and no other', async () => {
    const { time, clock, rung } = aClock();
    await clock.arm('red', at(10));
    await clock.arm('green', at(10));
    clock.forget('red');
    await time.pass(20);
    expect(rung).toEqual([`green ${at(10)} rang ${at(10)}`]);
  });

  it('is silent when stopped', async () => {
    const { time, clock, rung } = aClock();
    await clock.arm('red', at(10));
    clock.stop();
    await time.pass(20);
    expect(rung).toEqual([]);
  });

  it('rings for everything that was ever set, in the order of time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 9 })), { maxLength: 60 }),
        async (set) => {
          const time = virtualTime();
          const rung: string[] = [];
          const clock = alarmClock(time, (taskId, when) => {
            expect(when).toBe(time.now());
            rung.push(`${when} ${taskId}`);
          });
          for (const [seconds, task] of set) await clock.arm(`t${task}`, at(seconds));
          await time.pass(60);
          expect([...rung].sort()).toEqual(
            [...new Set(set.map(([seconds, task]) => `${at(seconds)} t${task}`))].sort(),
          );
          expect(rung.map((one) => one.slice(0, 24))).toEqual(rung.map((one) => one.slice(0, 24)).sort());
        },
      ),
      { numRuns: 30 },
    );
  });
});

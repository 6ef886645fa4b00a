import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { type Budgets, recordedBudgets } from '../../bench/budget.ts';
import { QUIET_CHECKS } from '../../lifecycle/life-signs.ts';
import { awsTimings } from '../../lifecycle/timings.ts';

const kept: Budgets = JSON.parse(readFileSync(new URL('../../docs/budget.json', import.meta.url), 'utf8'));

/** Tasks up to so many minutes are recorded again; hours take seconds, and what holds of every duration is said of the file below. */
const SHORT_MIN = 30;
const short = <Of>(byMinutes: Readonly<Record<string, Of>>): Record<string, Of> =>
  Object.fromEntries(Object.entries(byMinutes).filter(([minutes]) => Number(minutes) <= SHORT_MIN));

describe('a healthy task', () => {
  it('asks AWS for exactly what docs/budget.json says, whatever its duration and its back end', async () => {
    // Where a change of these counts is meant: `npm run budget`, `npm run generate`, and the reason in decision 0010.
    const { minutes, agentcore, ec2, ...rest } = kept;
    const of = (watched: typeof agentcore) => ({ minutes: short(watched.minutes), watching: short(watched.watching) });
    expect(await recordedBudgets(SHORT_MIN)).toEqual({
      ...rest,
      minutes: short(minutes),
      agentcore: { ...agentcore, ...of(agentcore) },
      ec2: { ...ec2, ...of(ec2) },
    });
  });
});

describe('a healthy task on ECS', () => {
  it('stays within its bounds: nothing asks compute, and time costs nothing', () => {
    for (const budget of Object.values(kept.minutes)) {
      expect(budget).toMatchObject({ asks: 0, starts: 1, stops: 0, definitionCalls: 1, machineCalls: 0 });
      expect(budget).toMatchObject({ payloadPuts: 2, payloadDeletes: 2 });
      expect(budget.recordWrites).toBeLessThanOrEqual(16);
      expect(budget.messages + budget.schedules).toBeLessThanOrEqual(3);
      expect(budget.publishedEntries).toBeLessThanOrEqual(9);
      expect(budget.invocations).toBeLessThanOrEqual(13);
    }
  });

  it('publishes nothing twice and starts nothing twice when every event is delivered twice', () => {
    const { minutes, deliveredTwice } = kept;
    const once = minutes['30'];
    expect(deliveredTwice).toMatchObject({ starts: 1, definitionCalls: 1, publishedEntries: once?.publishedEntries });
    // The write of a duplicate request fails; every other duplicate is known by a read.
    expect(deliveredTwice.recordWrites).toBe((once?.recordWrites ?? 0) + 1);
  });
});

describe('a healthy task on AgentCore', () => {
  const { agentcore } = kept;
  const budgets = Object.values(agentcore.minutes);

  it('costs the same whatever its duration, but for what it takes to see that it lives', () => {
    expect(budgets.length).toBeGreaterThan(1);
    for (const budget of budgets) expect(budget).toEqual(budgets[0]);
  });

  it('is started once, and its session stopped after its report until there is none', () => {
    for (const budget of budgets) {
      expect(budget).toMatchObject({ starts: 1, payloadPuts: 2, payloadDeletes: 2, schedules: 0 });
      // Stopped, found gone, and asked once more before that counts as its end.
      expect(budget.stops).toBeLessThanOrEqual(3);
      expect(budget.byRule['stop-run-on-agentcore']).toBe(2);
      expect(budget.recordWrites).toBeLessThanOrEqual(17);
      expect(budget.messages).toBeLessThanOrEqual(6);
      expect(budget.publishedEntries).toBeLessThanOrEqual(14);
      expect(budget.invocations).toBeLessThanOrEqual(16);
    }
  });

  it('is watched by one write, two reads and one alarm for each look, which stops nothing and publishes nothing', () => {
    for (const [minutes, watching] of Object.entries(agentcore.watching)) {
      const { looks, heartbeats } = watching;
      expect(watching).toMatchObject({ recordWrites: looks, recordReads: 2 * looks, messages: looks });
      expect(watching).toMatchObject({ schedules: 0, publishedEntries: 0, stops: 0 });
      // None is at the very beginning, and none at the end, when the report says more.
      expect(looks).toBe(Math.ceil((Number(minutes) * 60) / awsTimings.LIFE_LOOK_S) - 1);
      expect(heartbeats).toBe(Math.ceil((Number(minutes) * 60) / awsTimings.HEARTBEAT_S) - 1);
    }
  });

  it('publishes nothing more and starts nothing twice when every event is delivered twice', () => {
    const [once] = budgets;
    expect(agentcore.deliveredTwice).toMatchObject({ starts: 1, recordWrites: once?.recordWrites, stops: once?.stops });
    expect(agentcore.deliveredTwice.publishedEntries).toBeLessThanOrEqual(once?.publishedEntries ?? 0);
  });
});

describe('a healthy task on a fleet', () => {
  const { ec2, minutes: ecs } = kept;
  const looksAfterS = QUIET_CHECKS * awsTimings.START_CHECK_S;

  it('is sent once, has its machine kept and let go, and asks nothing', () => {
    expect(Object.keys(ec2.minutes)).toEqual(Object.keys(ecs));
    for (const budget of Object.values(ec2.minutes)) {
      expect(budget).toMatchObject({ starts: 1, machineCalls: 2, asks: 0, stops: 0, definitionCalls: 0 });
      expect(budget).toMatchObject({ payloadPuts: 2, payloadDeletes: 2 });
      expect(budget.recordWrites).toBeLessThanOrEqual(20);
      expect(budget.recordReads).toBeLessThanOrEqual(45);
      expect(budget.messages + budget.schedules).toBeLessThanOrEqual(3);
      expect(budget.publishedEntries).toBeLessThanOrEqual(8);
      expect(budget.invocations).toBeLessThanOrEqual(13);
    }
  });

  it('is asked about every half hour, by two questions and one alarm, which stops nothing; a shorter one never', () => {
    for (const [minutes, watching] of Object.entries(ec2.watching)) {
      const { looks } = watching;
      // None is at the very end, when the report says more.
      expect(looks).toBe(Math.ceil((Number(minutes) * 60) / looksAfterS) - 1);
      expect(watching).toMatchObject({ asks: 2 * looks, invocations: 2 * looks, publishedEntries: looks });
      expect(watching).toMatchObject({ recordWrites: looks, schedules: looks, messages: 0, stops: 0, heartbeats: 0 });
    }
    expect(ec2.watching['30']?.looks).toBe(0);
  });

  it('publishes nothing twice and sends nothing twice when every event is delivered twice', () => {
    const { minutes, deliveredTwice } = ec2;
    const once = minutes['30'];
    // Whoever hears of the end again lets go of the machine once more: the first may have died before.
    expect(deliveredTwice).toMatchObject({ starts: 1, machineCalls: 3, publishedEntries: once?.publishedEntries });
    expect(deliveredTwice.recordWrites).toBe((once?.recordWrites ?? 0) + 1);
  });
});

describe('a machine that joins its fleet', () => {
  it('is looked up in its group once, and its launch is let go on', () => {
    expect(kept.ec2.joining).toMatchObject({ asks: 1, machineCalls: 1, starts: 0, publishedEntries: 0 });
    expect(kept.ec2.joining.byRule).toEqual({ 'note-machine': 1, 'register-worker': 1 });
  });
});

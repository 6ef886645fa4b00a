import { describe, expect, it } from '@jest/globals';
import { FLEETS_DEFAULT } from '../../infra/fleet-settings.ts';
import { runningCostOf } from '../../lifecycle/running-cost.ts';
import type { RecordedWatching as Watching } from '../../scripts/cost-figures.ts';
import { costPage } from '../../scripts/generate-cost.ts';

const nothing = {
  recordWrites: 0,
  writeUnits: 0,
  recordReads: 0,
  readUnits: 0,
  messages: 0,
  schedules: 0,
  payloadPuts: 0,
  payloadGets: 0,
  payloadDeletes: 0,
  starts: 0,
  stops: 0,
  definitionCalls: 0,
  asks: 0,
  machineCalls: 0,
  publishCalls: 0,
  publishedEntries: 0,
  invocations: 0,
  byRule: {},
};
const unwatched: Watching = { ...nothing, heartbeats: 0, heartbeatUnits: 0, looks: 0 };

function pageOf(watching: Partial<Watching>, minutes = 120): string {
  const budgets = { minutes: { [String(minutes)]: nothing }, deliveredTwice: nothing };
  const watched = { ...budgets, watching: { [String(minutes)]: { ...unwatched, ...watching } } };
  return costPage({ ...budgets, agentcore: watched, ec2: { ...watched, joining: nothing } });
}

const hourIn = (page: string): number => Number(/\*\*US dollars\*\* \| \*\*\$([\d.]+)\*\*/.exec(page)?.[1]);

describe('what watching a session costs', () => {
  it.each([
    ['signs of life', { heartbeatUnits: 200_000 }, 0.0625],
    ['record writes', { writeUnits: 200_000 }, 0.0625],
    ['record reads', { readUnits: 200_000 }, 0.0125],
    ['looks, whose alarms are sent, received and deleted', { looks: 200_000 }, 0.12],
    ['schedules', { schedules: 200_000 }, 0.1],
    ['published entries', { publishedEntries: 200_000 }, 0.1],
    ['invocations', { invocations: 200_000 }, 0.08667],
  ] satisfies [string, Partial<Watching>, number][])('has its %s in it, by the hour', (_, counts, usd) => {
    expect(hourIn(pageOf(counts))).toBeCloseTo(usd, 5);
  });

  it('is for an hour, however long the run was that was counted', () => {
    expect(hourIn(pageOf({ looks: 100_000 }, 60))).toBe(hourIn(pageOf({ looks: 200_000 }, 120)));
  });

  it('is no part of what the task itself costs, and added to it beside that', () => {
    const page = pageOf({ writeUnits: 1_000 });
    expect(page).toContain('| **Baton** | **$0.000** |');
    expect(page).toContain('| watching | $0.625 |');
    expect(page).toContain('| **together** | $0.625 |');
  });
});

describe('what a run costs that nobody stops', () => {
  it('is what RunOrphaned says of it', () => {
    const page = pageOf({});
    expect(page).toContain(`all of it in use | $${runningCostOf('agentcore', undefined).usdPerHour.toFixed(3)} |`);
    expect(page).toContain(`4 GB | $${runningCostOf('ecs', undefined).usdPerHour.toFixed(3)} |`);
    expect(page).toContain(`with a run or without | $${runningCostOf('ec2', undefined).usdPerHour.toFixed(3)} |`);
  });
});

describe('what a machine of a fleet costs', () => {
  const { usdPerHour } = runningCostOf('ec2', undefined);
  const page = pageOf({});

  it('is the same idle or busy, so that a run on one that idles half the time costs twice as much', () => {
    expect(page).toContain(`the same idle or busy: $${usdPerHour.toFixed(3)} an hour`);
    expect(page).toContain(`| half of it | $${(2 * usdPerHour).toFixed(3)} |`);
  });

  it('is that of the type which a fleet has by default', () => {
    expect(page).toContain(`the default type (${FLEETS_DEFAULT[0]?.instanceType}: `);
  });

  it('stands beside what looking at its runs costs, for each look and by the hour', () => {
    const looked = pageOf({ looks: 4, asks: 8, invocations: 12, recordReads: 20, schedules: 120_000 });
    expect(looked).toContain('In 120 minutes that is 4 times. Each is an alarm, 3 invocations, 2 questions');
    expect(looked).toContain('5 record reads');
    expect(looked).toContain('$0.060008 an hour');
  });
});

describe('a budget of a version that knew fewer back ends', () => {
  const budgets = { minutes: { '5': nothing }, deliveredTwice: nothing };
  const watched = { ...budgets, watching: { '5': unwatched } };
  const unknown = { ...budgets, watching: {} };

  it.each([
    ['AgentCore', { agentcore: unknown, ec2: { ...watched, joining: nothing } }],
    ['EC2', { agentcore: watched, ec2: { ...unknown, joining: nothing } }],
  ])('makes no page with a gap: %s', (name, others) => {
    expect(() => costPage({ ...budgets, ...others })).toThrow(`on ${name}: npm run budget`);
  });
});

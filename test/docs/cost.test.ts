import { describe, expect, it } from '@jest/globals';
import { runningCostOf } from '../../lifecycle/running-cost.ts';
import { costPage, type RecordedBudgets } from '../../scripts/generate-cost.ts';

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
  publishCalls: 0,
  publishedEntries: 0,
  invocations: 0,
  byRule: {},
};
type Watching = RecordedBudgets['agentcore']['watching'][string];
const unwatched: Watching = { ...nothing, heartbeats: 0, heartbeatUnits: 0, looks: 0 };

function pageOf(watching: Partial<Watching>, minutes = 120): string {
  const budgets = { minutes: { [String(minutes)]: nothing }, deliveredTwice: nothing };
  return costPage({
    ...budgets,
    agentcore: { ...budgets, watching: { [String(minutes)]: { ...unwatched, ...watching } } },
  });
}

const hourIn = (page: string): number => Number(/\*\*US dollars\*\* \| \*\*\$([\d.]+)\*\*/.exec(page)?.[1]);

describe('what watching a session costs', () => {
  it.each([
    ['signs of life', { heartbeatUnits: 200_000 }, 0.0625],
    ['record writes', { writeUnits: 200_000 }, 0.0625],
    ['record reads', { readUnits: 200_000 }, 0.0125],
    ['messages, which are sent, received and deleted', { messages: 200_000 }, 0.12],
    ['schedules', { schedules: 200_000 }, 0.1],
    ['published entries', { publishedEntries: 200_000 }, 0.1],
    ['looks, an invocation each', { looks: 200_000 }, 0.08667],
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
  });
});

describe('a budget of a version that knew no AgentCore', () => {
  it('makes no page with a gap', () => {
    const budgets = { minutes: { '5': nothing }, deliveredTwice: nothing };
    expect(() => costPage({ ...budgets, agentcore: { ...budgets, watching: {} } })).toThrow('npm run budget');
  });
});

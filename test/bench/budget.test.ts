import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { recordedBudgets } from '../../bench/budget.ts';

const kept = JSON.parse(readFileSync(new URL('../../docs/budget.json', import.meta.url), 'utf8'));

describe('a healthy task on ECS', () => {
  it('asks AWS for exactly what docs/budget.json says, whatever its duration', async () => {
    // Where a change of these counts is meant: `npm run budget`, `npm run generate`, and the reason in decision 0010.
    expect(await recordedBudgets()).toEqual(kept);
  });

  it('stays within its bounds: nothing asks compute, and time costs nothing', () => {
    for (const budget of Object.values<Record<string, number>>(kept.minutes)) {
      expect(budget).toMatchObject({ asks: 0, starts: 1, definitionCalls: 1, payloadPuts: 2, payloadDeletes: 2 });
      expect(budget['recordWrites']).toBeLessThanOrEqual(16);
      expect((budget['messages'] ?? 0) + (budget['schedules'] ?? 0)).toBeLessThanOrEqual(3);
      expect(budget['publishedEntries']).toBeLessThanOrEqual(9);
      expect(budget['invocations']).toBeLessThanOrEqual(13);
    }
  });

  it('publishes nothing twice and starts nothing twice when every event is delivered twice', () => {
    const { minutes, deliveredTwice } = kept;
    const { publishedEntries } = minutes[30];
    expect(deliveredTwice).toMatchObject({ starts: 1, definitionCalls: 1, publishedEntries });
    // The write of a duplicate request fails; every other duplicate is known by a read.
    expect(deliveredTwice.recordWrites).toBe(minutes[30].recordWrites + 1);
  });
});

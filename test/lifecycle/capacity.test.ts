import { describe, expect, it } from '@jest/globals';
import { capacityProviderOf } from '../../lifecycle/capacity.ts';
import { type ReasonCode, reasons } from '../../schemas/reason.ts';
import type { HistoryEntry } from '../../schemas/task.ts';

/** A task in its next attempt, after runs that were lost for these reasons. */
const runsLostFor = (...losses: ReasonCode[]): HistoryEntry[] =>
  losses.map((lostFor, index) => ({
    transition: 'backOff',
    from: 'STOPPING',
    to: 'BACKOFF',
    at: '2026-01-01T00:00:00.000Z',
    version: index + 1,
    attempt: index + 1,
    cause: { id: `cause-${index}`, type: 'RunEnded' },
    facts: [],
    lostFor,
  }));

describe('what a run is placed on', () => {
  it.each([
    ['no capacity is asked for', undefined, [], 'FARGATE'],
    ['on-demand capacity is asked for', 'on-demand', [], 'FARGATE'],
    ['Spot is asked for', 'spot', [], 'FARGATE_SPOT'],
    ['Spot is asked for and was taken back', 'spot', ['spot_interrupted', 'no_capacity'], 'FARGATE_SPOT'],
    ['Spot shall be first', 'spot-first', [], 'FARGATE_SPOT'],
    ['Spot shall be first and was taken back', 'spot-first', ['spot_interrupted'], 'FARGATE'],
    ['Spot shall be first and there was none', 'spot-first', ['no_capacity'], 'FARGATE'],
    ['it was taken back, and the next run was killed', 'spot-first', ['spot_interrupted', 'killed'], 'FARGATE'],
  ] as const)('when %s', (_, capacity, losses, provider) => {
    const history = runsLostFor(...losses);
    const attempt = losses.length + 1;
    expect(capacityProviderOf({ ...(capacity ? { capacity } : {}), attempt, history })).toBe(provider);
  });

  const ofSpot = new Set(['spot_interrupted', 'no_capacity']);

  it.each(Object.keys(reasons).filter((code) => !ofSpot.has(code)) as ReasonCode[])(
    'stays Spot after a run that was lost for %s, which says nothing of Spot',
    (code) => {
      expect(capacityProviderOf({ capacity: 'spot-first', attempt: 2, history: runsLostFor(code) })).toBe(
        'FARGATE_SPOT',
      );
    },
  );

  it('is the same for every start of one attempt: a loss counts from the next one on', () => {
    const history = runsLostFor('spot_interrupted');
    expect(capacityProviderOf({ capacity: 'spot-first', attempt: 1, history })).toBe('FARGATE_SPOT');
    expect(capacityProviderOf({ capacity: 'spot-first', attempt: 2, history })).toBe('FARGATE');
  });
});

import { describe, expect, it } from '@jest/globals';
import { AGENT_STOP_SHARE, STOP_BUDGET_SHARE } from '../../agent/limits.ts';
import { stopRequest } from '../../agent/stop-request.ts';

describe('a stop request', () => {
  it('bounds nothing before it is made', () => {
    const stop = stopRequest(50);
    expect(stop).toMatchObject({ requested: false, why: '' });
    expect(stop.within(1_000)).toBe(1_000);
  });

  it('made twice keeps the first reason and bounds everything by its budget', () => {
    const stop = stopRequest(50);
    stop.request('SIGTERM');
    stop.request('again');
    expect(stop).toMatchObject({ requested: true, why: 'SIGTERM' });
    expect(stop.signal.aborted).toBe(true);
    expect(stop.within(1_000)).toBeLessThanOrEqual(50);
    expect(stop.within(1)).toBeLessThanOrEqual(1);
  });
});

describe('the shares of the stop time-out', () => {
  it('leave the agent its grace, and the runner time to save and to exit', () => {
    expect(AGENT_STOP_SHARE).toBeLessThan(STOP_BUDGET_SHARE / 2);
    expect(STOP_BUDGET_SHARE).toBeLessThan(1);
  });
});

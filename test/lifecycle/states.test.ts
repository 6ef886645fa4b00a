import { describe, expect, it } from '@jest/globals';
import { hasRun, isSettled, isTerminal, runOf, states } from '../../lifecycle/states.ts';
import { statuses } from '../../schemas/task.ts';
import { aTask, at } from '../builders.ts';

describe('the states', () => {
  it.each(statuses)('%s has something due, so that nothing waits for ever', (status) => {
    expect(states[status].due.length).toBeGreaterThan(0);
    expect(Object.keys(aTask({ status }).due).length).toBeGreaterThan(0);
  });

  it.each(statuses.filter((status) => !states[status].terminal))(
    '%s is bounded by the deadline of its task',
    (status) => {
      expect(states[status].due).toContain('deadline');
    },
  );

  it('are terminal in exactly four ways', () => {
    expect(statuses.filter((status) => isTerminal(aTask({ status })))).toEqual([
      'COMPLETED',
      'FAILED',
      'CANCELLED',
      'TIMED_OUT',
    ]);
  });

  it('may have a live run in exactly four', () => {
    expect(statuses.filter((status) => hasRun(aTask({ status })))).toEqual([
      'STARTING',
      'RUNNING',
      'FINALIZING',
      'STOPPING',
    ]);
  });
});

describe('a terminal task', () => {
  it('is settled when it says so, and only then', () => {
    expect(isSettled(aTask({ status: 'COMPLETED' }))).toBe(false);
    expect(isSettled(aTask({ status: 'COMPLETED', settledAt: at(9) }))).toBe(true);
  });

  it('keeps the run of its last attempt', () => {
    expect(runOf(aTask({ status: 'FAILED' }))?.attempt).toBe(1);
  });
});

describe('a task between two attempts', () => {
  it('has no run', () => {
    expect(runOf(aTask({ status: 'BACKOFF' }))).toBeUndefined();
  });
});

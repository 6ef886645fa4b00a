import { describe, expect, it } from '@jest/globals';
import { cancelTask, expireTask } from '../../lifecycle/cancel.ts';
import { because } from '../../schemas/reason.ts';
import { type Status, type StopIntent, statuses } from '../../schemas/task.ts';
import { aHandle, aKnownRun, aReport, aRunRecord, aTask, at } from '../builders.ts';
import { inWords } from './in-words.ts';

const reason = because('cancelled', 'Enough.');

// X1
describe('a cancel', () => {
  const means: Record<Status, string> = {
    SUBMITTED: 'cancel cancelled: TaskCancelled',
    QUEUED: 'cancel cancelled: TaskCancelled',
    ADMITTED: 'cancel cancelled: TaskCancelled',
    HYDRATED: 'cancel cancelled: TaskCancelled',
    STARTING: 'stop cancelled cancelled: RunStopRequested',
    RUNNING: 'stop cancelled cancelled: RunStopRequested',
    FINALIZING: 'stop cancelled cancelled: RunEnded',
    STOPPING: 'ignore is_stopping_already',
    BACKOFF: 'cancel cancelled: TaskCancelled',
    COMPLETED: 'ignore task_has_ended',
    FAILED: 'ignore task_has_ended',
    CANCELLED: 'ignore task_has_ended',
    TIMED_OUT: 'ignore task_has_ended',
  };

  it.each(statuses)('of a %s task', (status) => {
    expect(inWords(cancelTask(aTask({ status }), reason))).toBe(means[status]);
  });

  it('of a run whose exit was seen while another of it lives asks for a stop', () => {
    expect(inWords(cancelTask(aTask({ status: 'FINALIZING', run: aKnownRun(), exitCode: 0 }), reason))).toMatch(
      /^stop/,
    );
  });

  it('tells the stop all that it needs', () => {
    const task = aTask({ status: 'RUNNING' });
    expect(cancelTask(task, reason)).toMatchObject({
      facts: [{ data: { compute: 'ecs', startedBy: task.run.startedBy, handle: aHandle(), reason } }],
    });
  });
});

describe('two reasons to stop', () => {
  it.each<[StopIntent, string, string]>([
    ['lost', 'redirect cancelled cancelled', 'redirect timed_out timed_out'],
    ['paused', 'redirect cancelled cancelled', 'redirect timed_out timed_out'],
    ['timed_out', 'redirect cancelled cancelled', 'ignore is_stopping_already'],
    ['cancelled', 'ignore is_stopping_already', 'ignore is_stopping_already'],
  ])('%s yields to what outweighs it', (intent, cancelled, expired) => {
    const task = aTask({ status: 'STOPPING', intent });
    expect(inWords(cancelTask(task, reason))).toBe(cancelled);
    expect(inWords(expireTask(task, undefined, at(9)))).toBe(expired);
  });
});

describe('a deadline that has passed', () => {
  it.each(['SUBMITTED', 'QUEUED', 'ADMITTED', 'HYDRATED', 'BACKOFF'] as const)('ends a %s task at once', (status) => {
    expect(inWords(expireTask(aTask({ status }), undefined, at(9)))).toBe('expire timed_out: TaskTimedOut');
  });

  it.each(['STARTING', 'RUNNING'] as const)('stops a %s task', (status) => {
    expect(inWords(expireTask(aTask({ status }), aRunRecord(), at(9)))).toBe(
      'stop timed_out timed_out: RunStopRequested',
    );
  });

  it.each(['STARTING', 'RUNNING', 'FINALIZING'] as const)('loses against a report of a %s task', (status) => {
    expect(inWords(expireTask(aTask({ status }), aRunRecord({ report: aReport() }), at(9)))).toBe(
      'complete: TaskCompleted',
    );
  });

  it('says what it waited for to the end', () => {
    const delay = { at: at(0), message: 'No worker is free.' };
    const words = (status: 'ADMITTED' | 'HYDRATED') =>
      JSON.stringify(expireTask({ ...aTask({ status }), delay }, undefined, at(9)));
    expect(words('HYDRATED')).toContain('Its start was put off: No worker is free.');
    expect(words('ADMITTED')).toContain('Its context could not be fetched: No worker is free.');
  });

  it('names the deadline', () => {
    expect(expireTask(aTask({ status: 'QUEUED' }), undefined, at(9))).toMatchObject({
      bring: { reason: { message: expect.stringContaining(at(3600)) } },
    });
  });
});

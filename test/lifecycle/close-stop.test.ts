import { describe, expect, it } from '@jest/globals';
import { closeStop } from '../../lifecycle/close-stop.ts';
import { backoffSeconds } from '../../lifecycle/timings.ts';
import { because } from '../../schemas/reason.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import { type StopIntent, statuses } from '../../schemas/task.ts';
import {
  aFailedReport,
  aKnownRun,
  aReport,
  aResult,
  aRunRecord,
  aTask,
  aTaskId,
  at,
  testTimings,
} from '../builders.ts';
import { inWords } from './in-words.ts';

const stopping = (intent: StopIntent, proof: 'proven' | 'never_started' | 'given_up' = 'proven', attempt = 1) =>
  aTask({
    status: 'STOPPING',
    intent,
    attempt,
    reason: because(intent === 'lost' ? 'host_lost' : 'cancelled', 'Because.'),
    run: aKnownRun({ attempt, ended: { at: at(1), proof } }),
  });
const close = (task: Parameters<typeof closeStop>[0], record?: RunRecord) =>
  closeStop(task, record, at(1), testTimings, 'event');
const report = aReport();
const done = aRunRecord({ report });

describe('a stop whose run has ended', () => {
  it.each<[StopIntent, string, RunRecord | undefined, string]>([
    ['cancelled', 'no report', undefined, 'cancel cancelled: TaskCancelled'],
    ['cancelled', 'a report of success', done, 'cancel cancelled: TaskCancelled'],
    ['timed_out', 'no report', undefined, 'expire cancelled: TaskTimedOut'],
    ['timed_out', 'a report of success', done, 'expire cancelled: TaskTimedOut'],
    ['lost', 'no report', undefined, 'backOff host_lost: RunLost'],
    ['lost', 'a report of success', done, 'complete: TaskCompleted'],
    ['lost', 'a report of failure', aRunRecord({ report: aFailedReport() }), 'fail agent_failed: TaskFailed'],
    [
      'lost',
      'a report of what is not its agent',
      aRunRecord({ report: aReport({ outcome: 'failed', reason: because('secret_unavailable', 'denied') }) }),
      'backOff host_lost: RunLost',
    ],
    ['lost', 'the report of another attempt', { ...done, attempt: 2 }, 'backOff host_lost: RunLost'],
    ['paused', 'no report', undefined, 'backOff cancelled: RunLost'],
  ])('with intent %s and %s', (intent, _, record, move) => {
    expect(inWords(close(stopping(intent), record))).toBe(move);
  });

  it('fails with the reason of the loss when no attempt is left', () => {
    expect(inWords(close(stopping('lost', 'proven', 3)))).toBe('fail host_lost: TaskFailed');
  });

  it('says first that the run is orphaned when its end was given up', () => {
    expect(inWords(close(stopping('lost', 'given_up')))).toBe('backOff host_lost: RunOrphaned, RunLost');
    expect(inWords(close(stopping('cancelled', 'given_up')))).toBe('cancel cancelled: RunOrphaned, TaskCancelled');
  });

  it('keeps what was achieved all the same', () => {
    expect(close(stopping('cancelled'), done)).toMatchObject({ bring: { result: aResult() } });
  });

  it('takes saved work along into the next attempt, and says when that comes', () => {
    const savedWork = { branch: 'baton/x', commit: 'abc' };
    expect(close(stopping('lost'), aRunRecord({ savedWork }))).toMatchObject({
      bring: { savedWork },
      facts: [{ type: 'RunLost', data: { nextAttemptAt: at(1 + backoffSeconds(aTaskId(), 2, testTimings)) } }],
    });
  });
});

describe('a stop whose run has not ended', () => {
  it('stays open', () => {
    expect(inWords(close(aTask({ status: 'STOPPING' })))).toBe('ignore run_has_not_ended');
  });
});

describe('a task that is not being stopped', () => {
  it.each(statuses.filter((status) => status !== 'STOPPING'))('is left alone: %s', (status) => {
    expect(close(aTask({ status })).kind).toBe('ignore');
  });
});

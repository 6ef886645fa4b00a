import { describe, expect, it } from '@jest/globals';
import { expiryOf } from '../../../runtime/aws/record-lifetime.ts';
import { fleetKey, payloadKey, runKey, slotKey, taskKey, workerKey } from '../../../runtime/records.ts';
import { statuses } from '../../../schemas/task.ts';
import { aRunRecord, aTask, aTaskId, at } from '../../builders.ts';

const DAYS = 90;
const now = Date.parse(at(1000));
const daysAfter = (instant: string) => Date.parse(instant) / 1000 + DAYS * 86_400;
const task = taskKey(aTaskId());
const run = runKey(aTaskId(), 1);

describe('a record', () => {
  it.each(statuses)('of a task in %s that is not settled stays', (status) => {
    expect(expiryOf(task, aTask({ status }), DAYS, now)).toBeUndefined();
  });

  it('of a settled task is kept for the retention from then on, however late it is written', () => {
    const settled = { ...aTask({ status: 'FAILED' }), settledAt: at(60) };
    expect(expiryOf(task, settled, DAYS, now)).toBe(daysAfter(at(60)));
  });

  it('of a rejection is kept for the retention', () => {
    expect(expiryOf(task, { status: 'REJECTED', at: at(5) }, DAYS, now)).toBe(daysAfter(at(5)));
  });

  it('of a run stays until it is closed, also when nobody may claim it', () => {
    expect(expiryOf(run, aRunRecord({ noClaim: true }), DAYS, now)).toBeUndefined();
    expect(expiryOf(run, aRunRecord({ closed: true }), DAYS, now)).toBe(daysAfter(at(1000)));
  });

  it('of a worker stays as long as its machine, and then for the retention', () => {
    const worker = workerKey('i-0abcdef1234567890');
    for (const state of ['idle', 'dispatched', 'quarantined']) {
      expect(expiryOf(worker, { state, since: at(7) }, DAYS, now)).toBeUndefined();
    }
    expect(expiryOf(worker, { state: 'gone', since: at(7) }, DAYS, now)).toBe(daysAfter(at(7)));
  });

  it.each([slotKey('user:ada'), payloadKey('ref'), fleetKey('builders'), 'UNKNOWN', 'TASKDEF#1'])(
    '%s stays for ever',
    (key) => {
      expect(
        expiryOf(key, { status: 'REJECTED', closed: true, settledAt: at(0), at: at(0) }, DAYS, now),
      ).toBeUndefined();
    },
  );

  it('expires at a whole second, not before its time', () => {
    const settled = { ...aTask({ status: 'FAILED' }), settledAt: '2026-01-01T00:00:00.001Z' };
    expect(expiryOf(task, settled, DAYS, now)).toBe(daysAfter(at(1)));
  });
});

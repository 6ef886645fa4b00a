import { describe, expect, it } from '@jest/globals';
import { runRecordIn } from '../../runtime/runs.ts';
import { aClaim, aReport, aRunRecord } from '../builders.ts';

const written = aRunRecord({ claim: aClaim(), report: aReport(), noClaim: true });

describe('a record that its runner wrote itself', () => {
  it('is read as it is, with what newer code has put there', () => {
    const record = { ...written, galaxy: 'far away' };
    expect(runRecordIn(record)).toEqual(record);
  });

  it.each([
    ['report', 'a text'],
    ['report', { ...aReport(), outcome: 'glorious' }],
    ['claim', { nativeId: 7 }],
    ['progress', { seq: 'one' }],
    ['heartbeatAt', 'now and then'],
    ['firstOutputAt', 7],
    ['savedWork', [1, 2]],
  ])('counts its %s as not written when it is %j, and keeps the rest', (field, value) => {
    const { [field]: _, ...rest } = { ...written } as Record<string, unknown>;
    expect(runRecordIn({ ...written, [field]: value })).toEqual(rest);
  });

  it.each([
    ['tokenHash', undefined],
    ['attempt', 'one'],
    ['noClaim', 'yes'],
  ])("is refused when the control plane's own %s is %j", (field, value) => {
    expect(() => runRecordIn({ ...written, [field]: value })).toThrow(
      expect.objectContaining({ code: 'store_corrupt', message: expect.stringContaining(field) }),
    );
  });
});

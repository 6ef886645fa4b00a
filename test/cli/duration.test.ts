import { describe, expect, it } from '@jest/globals';
import { durationText, parseDuration, relativeTime } from '../../cli/duration.ts';

describe('a duration that somebody writes', () => {
  it.each([
    ['90s', 90],
    ['30m', 1800],
    ['2h', 7200],
    ['1h30m', 5400],
    ['1h0m5s', 3605],
  ])('%s is %d seconds', (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  it.each(['', '5', 's', '1d', '1.5h', '-1s', '1h ', ' 1h', '9999999s'])('is not understood as %j', (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );
});

describe('a duration that is shown', () => {
  it.each([
    [-5, '0.00 s'],
    [424, '0.42 s'],
    [9_994, '9.99 s'],
    [9_995, '10.0 s'],
    [59_949, '59.9 s'],
    [59_950, '1 min 00 s'],
    [245_000, '4 min 05 s'],
    [3_599_600, '1 h 00 min'],
    [7_380_000, '2 h 03 min'],
    [76 * 3_600_000, '3 d 4 h'],
  ])('%d ms is %s', (ms, text) => expect(durationText(ms)).toBe(text));

  it('lies before or after now', () => {
    const nowMs = Date.parse('2031-05-01T12:00:00.000Z');
    expect(relativeTime('2031-05-01T12:00:05.000Z', nowMs)).toBe('in 5.00 s');
    expect(relativeTime('2031-05-01T11:58:00.000Z', nowMs)).toBe('2 min 00 s ago');
  });
});

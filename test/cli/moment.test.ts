import { describe, expect, it } from '@jest/globals';
import { parseMoment } from '../../cli/moment.ts';

const NOW_MS = Date.parse('2026-11-21T16:45:30.500Z');

describe('a moment', () => {
  it.each([
    ['now', '2026-11-21T16:45:30.500Z'],
    ['30s ago', '2026-11-21T16:45:00.500Z'],
    ['1h30m ago', '2026-11-21T15:15:30.500Z'],
    ['2d ago', '2026-11-19T16:45:30.500Z'],
    ['1d12h  ago', '2026-11-20T04:45:30.500Z'],
    ['2026-11-21T16:45Z', '2026-11-21T16:45:00.000Z'],
    ['2026-11-21T16:45:01.25+02:00', '2026-11-21T14:45:01.250Z'],
    ['2026-11-21T16:45', new Date(2026, 10, 21, 16, 45).toISOString()],
    ['2026-11-21', new Date(2026, 10, 21).toISOString()],
  ])('%s is %s', (text, moment) => {
    expect(parseMoment(text, NOW_MS)).toBe(moment);
  });

  it.each([
    '',
    'yesterday',
    '2h',
    'ago',
    '0d ago',
    'd ago',
    '2026-13-01',
    '2026-11-21T25:00Z',
    '2026-11-21 16:45',
    '16:45',
  ])('is not "%s"', (text) => {
    expect(parseMoment(text, NOW_MS)).toBeUndefined();
  });
});

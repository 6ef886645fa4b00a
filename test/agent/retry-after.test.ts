import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RETRY_AFTER_DEFAULT_S, RETRY_AFTER_MAX_S, RETRY_AFTER_PAST_S } from '../../agent/limits.ts';
import { retryAfterSeconds, secondsIn } from '../../agent/retry-after.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');

describe('what an agent says about a wait', () => {
  it.each([
    ['seconds', '90', 90],
    ['seconds and a line end', ' 90\n', 90],
    ['a fraction', '0.4', 1],
    ['nothing left to wait', '0', 1],
    ['a date of HTTP', 'Thu, 01 Jan 2026 00:02:00 GMT', 120],
    ['a date that has passed', 'Wed, 31 Dec 2025 23:59:00 GMT', RETRY_AFTER_PAST_S],
    ['longer than any task', '999999999', RETRY_AFTER_MAX_S],
    ['a date in years', 'Thu, 01 Jan 2099 00:00:00 GMT', RETRY_AFTER_MAX_S],
    ['nothing', '', RETRY_AFTER_DEFAULT_S],
    ['a word', 'soon', RETRY_AFTER_DEFAULT_S],
    ['less than nothing', '-5', RETRY_AFTER_DEFAULT_S],
    ['too many digits', '9'.repeat(40), RETRY_AFTER_DEFAULT_S],
    ['no date', 'Someday, maybe', RETRY_AFTER_DEFAULT_S],
  ])('as %s', (_, text, seconds) => {
    expect(secondsIn(text, NOW_MS)).toBe(seconds);
  });
});

describe('the file in which an agent says it', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'baton-retry-after-'));
    writeFileSync(join(folder, 'plain'), '42\n');
    writeFileSync(join(folder, 'long'), `7\n${'x'.repeat(1_000_000)}`);
    symlinkSync(join(folder, 'plain'), join(folder, 'link'));
    mkdirSync(join(folder, 'directory'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    ['plain', 42],
    ['long', 7],
    ['link', RETRY_AFTER_DEFAULT_S],
    ['directory', RETRY_AFTER_DEFAULT_S],
    ['missing', RETRY_AFTER_DEFAULT_S],
  ])('may be anything: %s', async (name, seconds) => {
    expect(await retryAfterSeconds(join(folder, name), NOW_MS)).toBe(seconds);
  });
});

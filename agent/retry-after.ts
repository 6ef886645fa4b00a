import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { RETRY_AFTER_DEFAULT_S, RETRY_AFTER_FILE_MAX_BYTES, RETRY_AFTER_MAX_S, RETRY_AFTER_PAST_S } from './limits.ts';

/**
 * For how many seconds a service asked the agent to wait: what the agent wrote into its file, in the words of the HTTP header
 * Retry-After (RFC 9110, 10.2.3): seconds or a date. The default where there is no such word, and never more or less than the bounds.
 */
export async function retryAfterSeconds(file: string, nowMs: number): Promise<number> {
  return secondsIn(await wordIn(file), nowMs);
}

/** The same of a text. */
export function secondsIn(word: string, nowMs: number): number {
  const text = word.trim();
  // Fractions are not in the standard, but what clients make of a limit is often one.
  if (/^\d{1,9}(\.\d*)?$/.test(text)) return bounded(Number(text));
  const atMs = /^[A-Za-z]+, /.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs)) return RETRY_AFTER_DEFAULT_S;
  return atMs > nowMs ? bounded((atMs - nowMs) / 1_000) : RETRY_AFTER_PAST_S;
}

const bounded = (seconds: number): number => Math.min(RETRY_AFTER_MAX_S, Math.max(1, Math.ceil(seconds)));

/** The agent made the file, so it may be anything: only the beginning of a plain one is read, and no link is followed. */
async function wordIn(file: string): Promise<string> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      if (!(await handle.stat()).isFile()) return '';
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(RETRY_AFTER_FILE_MAX_BYTES));
      return buffer.toString('utf8', 0, bytesRead).split('\n')[0] ?? '';
    } finally {
      await handle.close();
    }
  } catch {
    return '';
  }
}

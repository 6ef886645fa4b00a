import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Read from the end of a log, in bytes: enough for the lines that are shown. */
const TAIL_BYTES = 8 * 1024;
const TAIL_LINES = 8;

/** The last lines of a log file; none when it cannot be read. */
export function logTail(file: string): string[] {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    const { size } = fstatSync(descriptor);
    const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
    const length = readSync(descriptor, bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes.toString('utf8', 0, length).split('\n');
    // The first line of a cut log is not whole.
    const whole = size > bytes.length ? lines.slice(1) : lines;
    return whole.filter((line) => line.trim() !== '').slice(-TAIL_LINES);
  } catch {
    return [];
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

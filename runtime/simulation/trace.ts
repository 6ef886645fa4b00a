import { createHash } from 'node:crypto';

/** Lines kept for whoever looks into a broken seed. */
const LINES_KEPT = 400;

/** What happened in one simulated world, in order. */
export interface Trace {
  line(text: string): void;
  /** The last lines. */
  last(count: number): readonly string[];
  /** SHA-256 over all lines, hexadecimal: the same seed gives the same. Ends the trace. */
  hash(): string;
}

export function openTrace(now: () => string, hear?: (line: string) => void): Trace {
  const all = createHash('sha256');
  let kept: string[] = [];
  return {
    line(text) {
      const line = `${now()} ${text}`;
      all.update(line).update('\n');
      kept.push(line);
      if (kept.length > 2 * LINES_KEPT) kept = kept.slice(-LINES_KEPT);
      hear?.(line);
    },
    last: (count) => kept.slice(-Math.min(count, LINES_KEPT)),
    hash: () => all.digest('hex'),
  };
}

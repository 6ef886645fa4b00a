import { openSync, writeSync } from 'node:fs';

/** Kept from the end of output that did not fit, in bytes: enough for the last words of a failing agent. */
export const LOG_TAIL_BYTES = 64 * 1024;

export interface BoundedLog {
  append(chunk: Buffer): void;
  /** Adds how much was left out and the last bytes, if the log was full. */
  finish(): void;
}

/** A log that takes `maxBytes` from the start of the output and `LOG_TAIL_BYTES` from its end. Never throws: a full disk drops output. */
export function boundedLog(file: string, maxBytes: number): BoundedLog {
  const descriptor = openSync(file, 'a', 0o600);
  let room = maxBytes;
  let dropped = 0;
  let tail = Buffer.alloc(0);

  return {
    append(chunk) {
      const head = chunk.subarray(0, room);
      room -= head.length;
      write(descriptor, head);
      const rest = chunk.subarray(head.length);
      if (rest.length === 0) return;
      const kept = Buffer.concat([tail, rest]);
      tail = kept.subarray(Math.max(0, kept.length - LOG_TAIL_BYTES));
      dropped += kept.length - tail.length;
    },
    finish() {
      if (tail.length === 0) return;
      if (dropped > 0) write(descriptor, Buffer.from(`\n[log truncated: ${dropped} bytes left out]\n`));
      write(descriptor, tail);
      tail = Buffer.alloc(0);
    },
  };
}

function write(descriptor: number, bytes: Buffer): void {
  try {
    let written = 0;
    while (written < bytes.length) written += writeSync(descriptor, bytes, written);
  } catch {
    // Losing log lines is better than losing the run.
  }
}

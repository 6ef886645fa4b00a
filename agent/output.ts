import { StringDecoder } from 'node:string_decoder';
import type { Masking } from './masking.ts';

/**
 * Cuts a byte stream into lines of text, masked before anything is cut; a line longer than `maxBytes` is broken. `end` gives the
 * unfinished last line.
 */
export function lineReader(
  maxBytes: number,
  { masked, cutAt, longest }: Masking,
  onLine: (line: string) => void,
): { write(bytes: Buffer): void; end(): void } {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (text: string): void => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) breakLine(masked(line), maxBytes, onLine);
    while (rest.length > maxBytes + longest) {
      const cut = cutAt(rest, maxBytes);
      onLine(masked(rest.slice(0, cut)));
      rest = rest.slice(cut);
    }
  };
  return {
    write: (bytes) => take(decoder.write(bytes)),
    end: () => {
      take(decoder.end());
      if (rest !== '') breakLine(masked(rest), maxBytes, onLine);
      rest = '';
    },
  };
}

function breakLine(line: string, maxBytes: number, onLine: (line: string) => void): void {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  for (let from = 0; from === 0 || from < text.length; from += maxBytes) onLine(text.slice(from, from + maxBytes));
}

export interface KeptLog {
  line(text: string): void;
  /** Writes what was held back: how much was left out, and the last lines. */
  end(): void;
}

/** A log that keeps the first `maxBytes` and the last `tailBytes` of what it is given, and says in one line what lies between. */
export function keptLog(options: {
  readonly write: (text: string) => void;
  readonly maxBytes: number;
  readonly tailBytes: number;
}): KeptLog {
  let room = options.maxBytes;
  let leftOut = 0;
  let tail: string[] = [];
  let tailBytes = 0;
  const hold = (entry: string): void => {
    leftOut += Buffer.byteLength(entry);
    tail.push(entry);
    tailBytes += Buffer.byteLength(entry);
    while (tailBytes > options.tailBytes) tailBytes -= Buffer.byteLength(tail.shift() ?? '');
  };
  return {
    line: (text) => {
      const entry = `${text}\n`;
      const bytes = Buffer.byteLength(entry);
      if (leftOut === 0 && bytes <= room) {
        room -= bytes;
        options.write(entry);
        return;
      }
      if (leftOut === 0)
        options.write('[baton] log truncated here: the output passed its bound; the end follows when the agent ends\n');
      hold(entry);
    },
    end: () => {
      if (leftOut > 0) options.write(`[baton] ${leftOut - tailBytes} bytes left out\n${tail.join('')}`);
      leftOut = 0;
      room = 0;
      tail = [];
      tailBytes = 0;
    },
  };
}

/** A line as a person would want it in one short message: no colours, no control characters, the last state of a spinner. */
export function plainText(line: string, maxBytes: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are control characters
  const bare = line.replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g, '');
  const shown = bare.split('\r').findLast((part) => part.trim() !== '') ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return cutToBytes(shown.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim(), maxBytes);
}

/** The longest beginning that fits, never half a character. */
function cutToBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let cut = '';
  let bytes = Buffer.byteLength('…');
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > maxBytes) break;
    cut += character;
  }
  return `${cut}…`;
}

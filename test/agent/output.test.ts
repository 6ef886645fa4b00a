import { describe, expect, it } from '@jest/globals';
import { MASKED_MIN_CHARS } from '../../agent/limits.ts';
import { masking } from '../../agent/masking.ts';
import { keptLog, lineReader, plainText } from '../../agent/output.ts';

describe('a stream of output', () => {
  const read = (chunks: readonly Buffer[], maxBytes = 100, secrets: readonly string[] = []): string[] => {
    const lines: string[] = [];
    const reader = lineReader(maxBytes, masking(secrets), (line) => lines.push(line));
    for (const chunk of chunks) reader.write(chunk);
    reader.end();
    return lines;
  };

  it('is cut at line ends, wherever its chunks break, even inside a character', () => {
    const whole = Buffer.from('one\ntwö\r\n\n🥁 last');
    const chunks = [...whole].map((byte) => Buffer.from([byte]));
    expect(read(chunks)).toEqual(['one', 'twö', '', '🥁 last']);
    expect(read([whole])).toEqual(['one', 'twö', '', '🥁 last']);
  });

  it('without line ends is broken at the bound', () => {
    const lines = read([Buffer.from('x'.repeat(250))]);
    expect(lines.map((line) => line.length)).toEqual([100, 100, 50]);
  });

  const SECRET = 'hunter2hunter3';
  const inChunksOf = (size: number, text: string): Buffer[] =>
    Array.from({ length: Math.ceil(text.length / size) }, (_, n) => Buffer.from(text.slice(n * size, (n + 1) * size)));

  it.each([1, 7, 4_096])('never shows a secret, nor a piece of it, wherever lines are cut (chunks of %d)', (size) => {
    for (let before = 80; before <= 105; before++) {
      const text = `${'x'.repeat(before)}${SECRET}${'y'.repeat(150)}`;
      for (const end of ['', '\n', SECRET]) {
        const lines = read(inChunksOf(size, text + end), 100, [SECRET]);
        expect(lines.join('')).toMatch(/^x+\*{3}y+(?:\*{3})?$/);
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
      }
    }
  });

  it('of one secret longer than a line shows none of it', () => {
    const long = Array.from({ length: 300 }, (_, n) => `${n}`).join('-');
    expect(read(inChunksOf(64, `a${long}b`), 100, [long]).join('')).toBe('a***b');
    expect(read(inChunksOf(64, `${long}${'z'.repeat(99)}`), 100, [long]).join('')).toBe(`***${'z'.repeat(99)}`);
  });
});

describe('a kept log', () => {
  const logOf = (lines: readonly string[]): string => {
    let text = '';
    const log = keptLog({ write: (more) => (text += more), maxBytes: 40, tailBytes: 20 });
    for (const line of lines) log.line(line);
    log.end();
    return text;
  };

  it('below its bound is complete', () => {
    expect(logOf(['one', 'two'])).toBe('one\ntwo\n');
  });

  it('above its bound keeps the head and the end and says how much is missing', () => {
    const text = logOf(Array.from({ length: 20 }, (_, at) => `line ${at + 10}`));
    expect(text.startsWith('line 10\nline 11\nline 12\nline 13\nline 14\n[baton] log truncated')).toBe(true);
    expect(text.endsWith('[baton] 104 bytes left out\nline 28\nline 29\n')).toBe(true);
  });
});

describe('masking', () => {
  const shown = (text: string, ...values: string[]) => masking(values).masked(text);

  it('takes out every value, wherever it stands', () => {
    expect(shown('a token-1 and token-1, token-2', 'token-1', 'token-2')).toBe('a *** and ***, ***');
    expect(shown('as it is')).toBe('as it is');
  });

  it('takes out the longer one of two that begin alike, and the whole of two that overlap', () => {
    expect(shown('secret-and-more secret', 'secret', 'secret-and-more')).toBe('*** ***');
    expect(shown('abcdefghi', 'abcdef', 'defghi')).toBe('***');
    expect(shown('aaaaaaaaa!', 'aaaaaa')).toBe('***!');
  });

  it('takes out each line of a value with several', () => {
    const key = '-----BEGIN KEY-----\r\nAbCdEfGh\n  IjKlMnOp\n-----END KEY-----\n';
    expect(shown('see IjKlMnOp', key)).toBe('see ***');
    expect(shown(key.replaceAll(/\s+/g, ' '), key)).toBe('*** *** *** *** ');
  });

  it('takes out a value also as it stands within JSON', () => {
    const value = '{"key":"a\\b"}';
    expect(shown(JSON.stringify({ said: value }), value)).toBe('{"said":"***"}');
  });

  it('leaves what is shorter than its bound', () => {
    const short = 'x'.repeat(MASKED_MIN_CHARS - 1);
    expect(shown(`${short} y`, short, '')).toBe(`${short} y`);
    expect(shown(`${short}x y`, `${short}x`)).toBe('*** y');
  });
});

describe('a line for a short message', () => {
  it('loses colours, links, control characters and all but the last state of a spinner', () => {
    expect(plainText('\u001b[1;32mgreen\u001b[0m\ttext\u0007', 100)).toBe('green text');
    expect(plainText('10 %\r50 %\r100 %\r', 100)).toBe('100 %');
    expect(plainText('\u001b]8;;https://x\u0007link\u001b]8;;\u0007', 100)).toBe('link');
  });

  it('is cut between characters, never above its bytes', () => {
    const text = plainText('🥁'.repeat(200), 500);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(500);
    expect(text).toMatch(/^(?:🥁)+…$/u);
  });
});

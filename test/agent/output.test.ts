import { describe, expect, it } from '@jest/globals';
import { keptLog, lineReader, plainText } from '../../agent/output.ts';

describe('a stream of output', () => {
  const read = (chunks: readonly Buffer[], maxBytes = 100): string[] => {
    const lines: string[] = [];
    const reader = lineReader(maxBytes, (line) => lines.push(line));
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
});

describe('a kept log', () => {
  const logOf = (lines: readonly string[]): string => {
    let text = '';
    const log = keptLog({ write: (more) => (text += more), maxBytes: 40, tailBytes: 20, hidden: 'token-1' });
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

  it('never shows what is to stay hidden', () => {
    expect(logOf(['a token-1 and token-1'])).toBe('a *** and ***\n');
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

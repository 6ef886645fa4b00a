import { type Paint, paintFor } from './paint.ts';

/** Redraws of the status line, in milliseconds: smooth enough for a spinner, cheap enough to forget. */
const FRAME_MS = 120;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/** Columns of a terminal that does not tell. */
const COLUMNS_DEFAULT = 80;
const CLEAR_LINE = '\r\u001b[2K';

/** Where a command writes: lines that stay, and on a live terminal one status line below them that changes. */
export interface Terminal {
  readonly paint: Paint;
  /** A person looks at it: the status line is shown. */
  readonly live: boolean;
  line(text?: string): void;
  /** The line cut to the width of a live terminal; as it is elsewhere. */
  fit(text: string): string;
  /** One value as one line of JSON. */
  json(value: unknown): void;
  /** Bytes as they are. */
  bytes(bytes: Uint8Array): void;
  /** Shows what `text` gives, again and again, until another call; undefined takes it away. */
  status(text: (() => string) | undefined): void;
  /** A line on standard error. */
  complain(text: string): void;
}

export interface TerminalStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string | Uint8Array): unknown;
}

export function openTerminal(options: {
  readonly out: TerminalStream;
  readonly err: TerminalStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}): Terminal {
  const { out, err, environment } = options;
  const live = out.isTTY === true && environment['TERM'] !== 'dumb';
  let status: (() => string) | undefined;
  let timer: NodeJS.Timeout | undefined;
  let frame = 0;

  const draw = (): void => {
    if (status === undefined) return;
    const glyph = FRAMES[frame % FRAMES.length] ?? '';
    out.write(`${CLEAR_LINE}${cut(`${glyph} ${status()}`, (out.columns ?? COLUMNS_DEFAULT) - 1)}`);
  };
  const above = (write: () => void): void => {
    if (status !== undefined) out.write(CLEAR_LINE);
    write();
    draw();
  };
  return {
    paint: paintFor(out, environment),
    live,
    line: (text = '') => above(() => out.write(`${text}\n`)),
    fit: (text) => (live ? cut(text, out.columns ?? COLUMNS_DEFAULT) : text),
    json: (value) => above(() => out.write(`${JSON.stringify(value)}\n`)),
    bytes: (bytes) => above(() => out.write(bytes)),
    complain: (text) => above(() => err.write(`${text}\n`)),
    status: (text) => {
      if (!live) return;
      if (status !== undefined && text === undefined) out.write(CLEAR_LINE);
      status = text;
      clearInterval(timer);
      if (text === undefined) return;
      timer = setInterval(() => {
        frame += 1;
        draw();
      }, FRAME_MS);
      timer.unref();
      draw();
    },
  };
}

/** The first `columns` visible characters; escape sequences take no room. */
export function cut(text: string, columns: number): string {
  let room = columns;
  let kept = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are escape sequences
  for (const [piece, colour] of text.matchAll(/(\u001b\[[0-9;]*m)|[^\u001b]/gu)) {
    if (colour !== undefined) {
      kept += colour;
      continue;
    }
    if (room === 0) continue;
    kept += piece;
    room -= 1;
  }
  return kept;
}

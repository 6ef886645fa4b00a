import {
  closeSync,
  createReadStream,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Envelope } from '../../schemas/envelope.ts';
import {
  ARCHIVE_RETENTION_D,
  type Archive,
  type ArchiveSlice,
  isArchived,
  isWithin,
  minuteOf,
  SLICE_EVENTS_MAX,
} from './archive.ts';

/** Files kept open to write: the minute that runs, the one before it, and what facts of another time need. */
const OPEN_FILES_MAX = 4;
/** How often the archive looks for days that are too old, in milliseconds. */
const PRUNE_EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Read at once from a file: some hundred events. */
const READ_BYTES = 256 * 1024;
const EXTENSION = '.ndjson';
const NEW_LINE = 0x0a;
/** For the owner alone: facts name repositories, branches and what agents said. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

export interface FileArchiveOptions {
  /** Folder of the archive; made when the first event comes. */
  readonly dir: string;
  readonly nowMs: () => number;
  /** Told what could not be kept; the bus goes on. */
  readonly warn?: (message: string, error: unknown) => void;
}

/**
 * An archive in files, one for each minute: `2026-11-21/16-45.ndjson`, an event per line. An event is written when it is published,
 * before its row can be on disk, so that `kill -9` takes nothing away that anybody was told; a line that was not written whole is
 * passed over.
 */
export function fileArchive({ dir, nowMs, warn = () => undefined }: FileArchiveOptions): Archive {
  const open = new Map<string, number>();
  let isFailing = false;
  let prunedMs = Number.NEGATIVE_INFINITY;

  return {
    append(event) {
      if (!isArchived(event)) return;
      const minute = minuteOf(event, nowMs());
      try {
        write(fileFor(minute), `${JSON.stringify(event)}\n`);
        isFailing = false;
      } catch (error) {
        // Told once, not for every event while the disk is full.
        if (!isFailing) warn(`the archive ${dir} does not keep the events of ${minute}, nor what follows`, error);
        isFailing = true;
      }
    },
    slices: (fromMs, toMs) => slicesIn(dir, Math.max(fromMs, oldestMs()), toMs),
    close() {
      for (const file of open.values()) closeSync(file);
      open.clear();
    },
  };

  /** The open file of a minute. */
  function fileFor(minute: string): number {
    const known = open.get(minute);
    if (known !== undefined) return known;
    if (nowMs() - prunedMs > PRUNE_EVERY_MS) prune();
    for (const [oldest, file] of open) {
      if (open.size < OPEN_FILES_MAX) break;
      open.delete(oldest);
      closeSync(file);
    }
    const { folder, name } = placeOf(dir, minute);
    mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    const file = openSync(join(folder, name), 'a+', FILE_MODE);
    open.set(minute, file);
    closeLine(file);
    return file;
  }

  function oldestMs(): number {
    return nowMs() - ARCHIVE_RETENTION_D * DAY_MS;
  }

  function prune(): void {
    prunedMs = nowMs();
    const oldest = new Date(oldestMs()).toISOString().slice(0, 'YYYY-MM-DD'.length);
    for (const day of daysIn(dir)) {
      if (day >= oldest) continue;
      try {
        rmSync(join(dir, day), { recursive: true, force: true });
      } catch (error) {
        warn(`the archive cannot forget ${join(dir, day)}`, error);
      }
    }
  }
}

/** Events of a folder's archive, whoever writes there. */
export async function* slicesIn(dir: string, fromMs: number, toMs: number): AsyncGenerator<ArchiveSlice> {
  for (const minute of minutesIn(dir)) {
    const beginsMs = Date.parse(`${minute}Z`);
    if (beginsMs + MINUTE_MS <= fromMs || beginsMs >= toMs) continue;
    const { folder, name } = placeOf(dir, minute);
    let events: Envelope[] = [];
    for await (const event of eventsIn(join(folder, name))) {
      if (!isWithin(event, fromMs, toMs)) continue;
      events.push(event);
      if (events.length < SLICE_EVENTS_MAX) continue;
      yield { minute, events };
      events = [];
    }
    if (events.length > 0) yield { minute, events };
  }
}

/** Minutes that a folder's archive has, oldest first. */
function* minutesIn(dir: string): Generator<string> {
  for (const day of daysIn(dir)) {
    for (const name of namesIn(join(dir, day))) {
      const [, hour, minute] = /^(\d\d)-(\d\d)\.ndjson$/.exec(name) ?? [];
      if (hour !== undefined && minute !== undefined) yield `${day}T${hour}:${minute}`;
    }
  }
}

async function* eventsIn(file: string): AsyncGenerator<Envelope> {
  let begun = '';
  try {
    for await (const piece of createReadStream(file, { encoding: 'utf8', highWaterMark: READ_BYTES })) {
      const lines = (begun + String(piece)).split('\n');
      begun = lines.pop() ?? '';
      for (const line of lines) {
        const event = eventOf(line);
        if (event) yield event;
      }
    }
  } catch (error) {
    // Its day was forgotten meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A line that is not whole is no event: the process ended while it wrote it. */
function eventOf(line: string): Envelope | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'detail' in value ? (value as Envelope) : undefined;
  } catch {
    return undefined;
  }
}

function placeOf(dir: string, minute: string): { folder: string; name: string } {
  const [day = '', time = ''] = minute.split('T');
  return { folder: join(dir, day), name: `${time.replace(':', '-')}${EXTENSION}` };
}

const daysIn = (dir: string): string[] => namesIn(dir).filter((name) => /^\d{4}-\d\d-\d\d$/.test(name));

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** After a line that was not written whole, the next one begins on its own. */
function closeLine(file: number): void {
  const { size } = fstatSync(file);
  const last = Buffer.alloc(1);
  if (size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== NEW_LINE) write(file, '\n');
}

function write(file: number, text: string): void {
  const written = writeSync(file, text);
  const bytes = Buffer.byteLength(text);
  if (written === bytes) return;
  const rest = Buffer.from(text).subarray(written);
  for (let at = 0; at < rest.length; ) at += writeSync(file, rest, at);
}

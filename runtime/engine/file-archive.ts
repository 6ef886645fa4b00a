import {
  closeSync,
  createReadStream,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
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
/** Beside the file of a minute: what was taken out of it, for people, and what it is while it is written anew. Nobody replays either. */
const TAKEN_EXTENSION = '.taken';
const ANEW_EXTENSION = '.anew';
/**
 * How long before its last write an archive may hold what is not on disk, in milliseconds: the store commits every 20 ms, and a minute is far
 * more than the slowest disk keeps it waiting.
 */
const AHEAD_MAX_MS = 60_000;
/** Files that are looked through for it: one for each minute of that time, and some for facts of another time. */
const AHEAD_FILES_MAX = 8;
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
  /** Writes and answers how many bytes were taken, as `writeSync`. For tests of full disks. */
  readonly writeTo?: (file: number, bytes: Buffer) => number;
}

export interface FileArchive extends Archive {
  /**
   * Takes out the events of steps that a crash took back: they were published, and their records never came to the disk. Looks at what was
   * written last, and at no more than some minutes of it. Call it before anything is published. Answers how many there were; what cannot
   * be looked through is told, and stays.
   */
  takeBack(isUndone: (event: Envelope) => Promise<boolean>): Promise<number>;
}

/**
 * An archive in files, one for each minute: `2026-11-21/16-45.ndjson`, an event per line. An event is written when it is published,
 * before its row can be on disk, so that `kill -9` takes nothing away that anybody was told; a line that was not written whole is
 * passed over.
 */
export function fileArchive({
  dir,
  nowMs,
  warn = () => undefined,
  writeTo = (file, bytes) => writeSync(file, bytes),
}: FileArchiveOptions): FileArchive {
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
        // Part of the line may stand there: whoever opens the file again ends it, so that the next event begins on its own.
        forget(minute);
        // Told once, not for every event while the disk is full.
        if (!isFailing) warn(`the archive ${dir} does not keep the events of ${minute}, nor what follows`, error);
        isFailing = true;
      }
    },
    slices: (fromMs, toMs) => slicesIn(dir, Math.max(fromMs, oldestMs()), toMs),
    async takeBack(isUndone) {
      let taken = 0;
      for (const minute of latestMinutes()) {
        try {
          taken += await takeOut(minute, isUndone);
        } catch (error) {
          warn(`the archive ${dir} may tell of steps at ${minute} that were never made`, error);
        }
      }
      return taken;
    },
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

  function forget(minute: string): void {
    const file = open.get(minute);
    open.delete(minute);
    try {
      if (file !== undefined) closeSync(file);
    } catch {
      // What was written is written, and nothing more goes there.
    }
  }

  /** After a line that was not written whole, the next one begins on its own. */
  function closeLine(file: number): void {
    const { size } = fstatSync(file);
    const last = Buffer.alloc(1);
    if (size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== NEW_LINE) write(file, '\n');
  }

  function write(file: number, text: string): void {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeTo(file, bytes.subarray(at));
  }

  /** Minutes that were written last, whatever minutes they are: facts of another time are written when they come. */
  function latestMinutes(): string[] {
    const written = [...minutesIn(dir)].map((minute) => ({ minute, atMs: statSync(fileOf(dir, minute)).mtimeMs }));
    const lastMs = Math.max(...written.map(({ atMs }) => atMs));
    return written
      .filter(({ atMs }) => atMs >= lastMs - AHEAD_MAX_MS)
      .sort((a, b) => b.atMs - a.atMs || (a.minute < b.minute ? 1 : -1))
      .slice(0, AHEAD_FILES_MAX)
      .map(({ minute }) => minute);
  }

  /** Writes the file anew where it holds what is undone, and puts it in the place of the old one, whole or not at all. */
  async function takeOut(minute: string, isUndone: (event: Envelope) => Promise<boolean>): Promise<number> {
    const file = fileOf(dir, minute);
    const undone = new Set<number>();
    let count = 0;
    for await (const event of eventsIn(file)) {
      if (await isUndone(event)) undone.add(count);
      count++;
    }
    if (undone.size === 0) return 0;
    forget(minute);
    const stem = file.slice(0, -EXTENSION.length);
    rmSync(stem + ANEW_EXTENSION, { force: true });
    const anew = openSync(stem + ANEW_EXTENSION, 'a', FILE_MODE);
    const taken = openSync(stem + TAKEN_EXTENSION, 'a', FILE_MODE);
    try {
      let at = 0;
      for await (const event of eventsIn(file)) write(undone.has(at++) ? taken : anew, `${JSON.stringify(event)}\n`);
    } finally {
      closeSync(anew);
      closeSync(taken);
    }
    renameSync(stem + ANEW_EXTENSION, file);
    return undone.size;
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
    let events: Envelope[] = [];
    for await (const event of eventsIn(fileOf(dir, minute))) {
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

function fileOf(dir: string, minute: string): string {
  const { folder, name } = placeOf(dir, minute);
  return join(folder, name);
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

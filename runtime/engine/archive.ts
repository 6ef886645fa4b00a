import { archivedPattern } from '../../rules/archived.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { compilePattern } from '../matcher.ts';

/** Days that the archive of a world keeps events: as long as that of a deployment, and no longer than tasks are kept after they settled. */
export const ARCHIVE_RETENTION_D = 30;
/** Most events of one slice: a busier minute comes in several, so that a replay of any length fits into memory. */
export const SLICE_EVENTS_MAX = 1_000;

/** Events of one minute, in no order that anybody may rely on. */
export interface ArchiveSlice {
  /** `2026-11-21T16:45`, in UTC. */
  readonly minute: string;
  readonly events: readonly Envelope[];
}

/** Keeps what the bus publishes, by the time of the event. */
export interface Archive {
  /** Keeps the event if it is one that an archive keeps. Never throws: what cannot be kept is told to who opened the archive. */
  append(event: Envelope): void;
  /** Events from a time (milliseconds since the epoch, inclusive) to another (exclusive), minute by minute, oldest first. */
  slices(fromMs: number, toMs: number): AsyncIterable<ArchiveSlice>;
  close(): void;
}

/** Whether an archive keeps the event: the pattern that infrastructure deploys, and nothing that is being replayed. */
export const isArchived: (event: Envelope) => boolean = compilePattern({
  ...archivedPattern,
  'replay-name': [{ exists: false }],
});

/** The minute of an event, as slices are named. A time that cannot be read counts as now. */
export function minuteOf(event: Envelope, nowMs: number): string {
  if (UTC.test(event.time)) return event.time.slice(0, MINUTE_CHARS);
  const timeMs = Date.parse(event.time);
  return new Date(Number.isNaN(timeMs) ? nowMs : timeMs).toISOString().slice(0, MINUTE_CHARS);
}

/** Whether the event is of a time from `fromMs` to before `toMs`. */
export function isWithin(event: Envelope, fromMs: number, toMs: number): boolean {
  const timeMs = Date.parse(event.time);
  // Kept under the minute in which it came; the minute was chosen by who reads.
  return Number.isNaN(timeMs) || (timeMs >= fromMs && timeMs < toMs);
}

const UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const MINUTE_CHARS = 'YYYY-MM-DDTHH:MM'.length;

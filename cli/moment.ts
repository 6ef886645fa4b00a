import { parseDuration } from './duration.ts';

const DAY_S = 86_400;

/**
 * A moment as people write it: `now`, `90m ago`, `2d ago`, or a time such as `2026-11-21T16:45Z`; without a zone it is that of this
 * machine. Answers an ISO time, or undefined for anything else.
 */
export function parseMoment(text: string, nowMs: number): string | undefined {
  const words = text.trim();
  if (words === 'now') return new Date(nowMs).toISOString();
  const [, ago] = /^(\S+)\s+ago$/.exec(words) ?? [];
  if (ago !== undefined) {
    const seconds = secondsIn(ago);
    return seconds === undefined ? undefined : isoOf(nowMs - seconds * 1_000);
  }
  const [, day, time = 'T00:00'] = TIME.exec(words) ?? [];
  return day === undefined ? undefined : isoOf(Date.parse(day + time));
}

const TIME = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)?)?$/;

/** Days first, as in `1d12h`; the rest as durations are written everywhere. */
function secondsIn(text: string): number | undefined {
  const [, days = '0', rest = ''] = /^(?:(\d{1,4})d)?(.*)$/.exec(text) ?? [];
  const more = rest === '' && days !== '0' ? 0 : parseDuration(rest);
  return more === undefined ? undefined : Number(days) * DAY_S + more;
}

function isoOf(timeMs: number): string | undefined {
  const time = new Date(timeMs);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

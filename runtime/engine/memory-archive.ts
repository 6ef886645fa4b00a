import type { Envelope } from '../../schemas/envelope.ts';
import { type Archive, isArchived, isWithin, minuteOf, SLICE_EVENTS_MAX } from './archive.ts';

/** An archive in memory: that of the simulated world and of tests. Forgets nothing, and nothing survives it. */
export function memoryArchive(nowMs: () => number): Archive {
  const minutes = new Map<string, Envelope[]>();
  return {
    append(event) {
      if (!isArchived(event)) return;
      const minute = minuteOf(event, nowMs());
      const kept = minutes.get(minute);
      if (kept) kept.push(event);
      else minutes.set(minute, [event]);
    },
    async *slices(fromMs, toMs) {
      for (const minute of [...minutes.keys()].sort()) {
        const events = (minutes.get(minute) ?? []).filter((event) => isWithin(event, fromMs, toMs));
        for (let at = 0; at < events.length; at += SLICE_EVENTS_MAX)
          yield { minute, events: events.slice(at, at + SLICE_EVENTS_MAX) };
      }
    },
    close: () => undefined,
  };
}

const UNIT_S = { s: 1, m: 60, h: 3600 } as const;

/** Seconds of a duration such as `90s`, `30m`, `2h` or `1h30m`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d{1,6}[smh])+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)([smh])/g)) {
    seconds += Number(amount) * UNIT_S[unit as keyof typeof UNIT_S];
  }
  return seconds;
}

/** Milliseconds as people read them: `0.42 s`, `12.3 s`, `4 min 05 s`, `2 h 03 min`, `3 d 4 h`. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** From one ISO time to another. */
export const durationBetween = (from: string, to: string): string => durationText(Date.parse(to) - Date.parse(from));

/** An ISO time as seen from `nowMs`: `in 12.3 s`, `4 min 05 s ago`. */
export function relativeTime(at: string, nowMs: number): string {
  const ms = Date.parse(at) - nowMs;
  return ms >= 0 ? `in ${durationText(ms)}` : `${durationText(-ms)} ago`;
}

const two = (amount: number): string => String(amount).padStart(2, '0');

import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds of one tick in /proc's processor times: Linux reports them in hundredths of a second. */
const TICK_MS = 10;
const BYTES_PER_MB = 1024 * 1024;

/** Processor time of all threads of this process so far, in milliseconds. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Processor time of each thread so far, in milliseconds, by thread id; the main thread's is the process id. Empty where there is no /proc. */
export function threadCpuMs(): Map<number, number> {
  const times = new Map<number, number>();
  try {
    for (const id of readdirSync('/proc/self/task')) {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8');
      // Fields after the name in brackets; user and system time are the 12th and 13th of them (proc(5)).
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      times.set(Number(id), (Number(fields[11]) + Number(fields[12])) * TICK_MS);
    }
  } catch {
    // Not Linux, or a thread that ended meanwhile: what was read so far stands.
  }
  return times;
}

/** Resident memory in MB, and the proportional part of it where Linux tells. */
export function memoryMb(): { rss: number; pss: number } {
  const rss = process.memoryUsage.rss() / BYTES_PER_MB;
  try {
    const pss = /^Pss:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'));
    return { rss, pss: pss ? Number(pss[1]) / 1024 : rss };
  } catch {
    return { rss, pss: rss };
  }
}

/** The value below which `share` (0 to 1) of the values lie; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => percentile(values, 0.5);

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

import type { Scheduler } from '../../engine/scheduler.ts';
import type { OneTimeSchedule, ScheduleBook } from './scheduler.ts';

/** Where a schedule that is due goes. */
export interface ScheduleTarget {
  readonly arn: string;
  deliver(input: string): Promise<unknown>;
}

export interface MemorySchedulesOptions {
  readonly scheduler: Scheduler;
  readonly targets: readonly ScheduleTarget[];
  /** Told of a delivery that failed; the schedule is over all the same. */
  readonly warn?: (message: string, error: unknown) => void;
}

/** Schedules in the memory of this process: whoever restarts it sets them again. */
export function memorySchedules({ scheduler, targets, warn }: MemorySchedulesOptions): ScheduleBook & { stop(): void } {
  const set = new Map<string, { readonly schedule: OneTimeSchedule; readonly cancel: () => void }>();
  const targetOf = (arn: string) => targets.find((target) => target.arn === arn);

  return {
    reaches: (arn) => targetOf(arn) !== undefined,
    async add(schedule) {
      const key = keyOf(schedule.input.GroupName, schedule.input.Name);
      if (set.has(key)) return false;
      const isEnabled = schedule.input.State === 'ENABLED';
      set.set(key, {
        schedule,
        cancel: isEnabled ? scheduler.at(schedule.dueMs, () => ring(key, schedule)) : () => undefined,
      });
      return true;
    },
    get: async (group, name) => set.get(keyOf(group, name))?.schedule,
    async delete(group, name) {
      set.get(keyOf(group, name))?.cancel();
      return set.delete(keyOf(group, name));
    },
    stop() {
      for (const { cancel } of set.values()) cancel();
      set.clear();
    },
  };

  function ring(key: string, { input }: OneTimeSchedule): void {
    if (input.ActionAfterCompletion === 'DELETE') set.delete(key);
    const { Arn: arn, Input: text = '{}' } = input.Target;
    targetOf(arn)
      ?.deliver(text)
      .catch((error) => warn?.(`schedule ${input.Name} was not delivered`, error));
  }
}

const keyOf = (group: string, name: string): string => `${group}/${name}`;

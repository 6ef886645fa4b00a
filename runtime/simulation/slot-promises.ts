import { isStale } from '../../lifecycle/slot-decisions.ts';
import { parseLease, type Slot, slot as slotSchema } from '../../schemas/slot.ts';
import type { Task } from '../../schemas/task.ts';
import type { Complain } from './promise-names.ts';

/** What no write of a slot item may do. */
export function slotWritten(
  before: Slot | undefined,
  after: Slot,
  { taskOf, complain }: { taskOf: (taskId: string) => Task | undefined; complain: Complain },
): void {
  const broken = (lease: string, message: string): void =>
    complain('slots', parseLease(lease).taskId, `${after.key}: ${lease} ${message}`);
  const valid = slotSchema.safeParse(after);
  if (!valid.success) broken('', valid.error.message);
  const holders = Object.keys(after.holders);
  const held = Object.keys(before?.holders ?? {}).length;
  if (holders.length > after.limit && holders.length > held)
    broken(holders.at(-1) ?? '', `holds beyond the limit of ${after.limit}`);
  const workers = new Map<string, string>();
  for (const lease of holders) {
    const { taskId } = parseLease(lease);
    if (after.waiters[lease]) broken(lease, 'holds and waits');
    if (isStale(lease, taskOf(taskId))) continue;
    const other = workers.get(taskId);
    if (other) broken(lease, `holds beside ${other}`);
    workers.set(taskId, lease);
  }
  for (const lease of Object.keys(before?.holders ?? {})) {
    if (after.holders[lease]) continue;
    if (!isStale(lease, taskOf(parseLease(lease).taskId))) broken(lease, 'lost its place while its task needs it');
  }
  for (const [lease, waiter] of Object.entries(before?.waiters ?? {})) {
    if (!after.holders[lease] && !after.waiters[lease] && !isStale(lease, taskOf(parseLease(lease).taskId))) {
      broken(lease, `was dropped from the line (order ${waiter.order})`);
    }
  }
  if (holders.length < after.limit && Object.keys(after.waiters).length > 0) {
    broken(Object.keys(after.waiters)[0] ?? '', 'waits although a place is free');
  }
}

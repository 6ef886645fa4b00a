import * as z from 'zod';
import { instant } from './json.ts';
import { storedFact } from './task.ts';

/** Most holders of one key: keeps the item below DynamoDB's 400 KB and the check for stale leases affordable. */
export const SLOT_HOLDERS_MAX = 500;
/** Most waiters of one key; beyond it a task fails with `queue_full`. */
export const SLOT_WAITERS_MAX = 1000;

/**
 * Most grants that an item keeps until their tasks confirm them: each is half a kilobyte or more, and a limit that is raised by hundreds would
 * otherwise make an item that DynamoDB refuses.
 */
export const GRANTS_MAX = 50;

/** A lease names a task and the attempt for which it holds or awaits a slot. */
export const leaseOf = (taskId: string, attempt: number): string => `${taskId}#${attempt}`;

export function parseLease(lease: string): { taskId: string; attempt: number } {
  const cut = lease.lastIndexOf('#');
  return { taskId: lease.slice(0, cut), attempt: Number(lease.slice(cut + 1)) };
}

/** A promoted holder keeps the fact that says so until the task has taken it up. */
export const grant = z.object({
  fact: storedFact,
  at: instant,
  cause: z.object({ id: z.string(), type: z.string() }),
  correlationId: z.string(),
});
export type Grant = z.infer<typeof grant>;

export const holder = z.object({ since: instant, priority: z.int(), grant: grant.optional() });
export const waiter = z.object({
  since: instant,
  priority: z.int(),
  /** Order of arrival at this key: FIFO inside a priority. */
  order: z.int(),
  correlationId: z.string(),
});

/** Holders and waiters of one key are one item, so that no slot can leak between two writes. */
export const slot = z.object({
  key: z.string(),
  limit: z.int().min(0).max(SLOT_HOLDERS_MAX),
  holders: z.record(z.string(), holder),
  waiters: z.record(z.string(), waiter),
  nextOrder: z.int(),
});
export type Slot = z.infer<typeof slot>;

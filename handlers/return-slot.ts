import { returnSlot as rule } from '../rules/return-slot.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { leaseOf } from '../schemas/slot.ts';

/** Returns the slot of an attempt that was lost. Twice is harmless: a lease that holds nothing gives nothing back. */
export const returnSlot = react(rule, async (event, { tasks, slots }) => {
  const { taskId, attempt } = subject(event);
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  return slots.release(task.slotKey, leaseOf(taskId, attempt), causeOf(event));
});

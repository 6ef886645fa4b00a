import { canSettle, settle } from '../lifecycle/settle.ts';
import { runOf } from '../lifecycle/states.ts';
import { settleTask as rule } from '../rules/settle-task.ts';
import { type Outcome, refused } from '../runtime/outcome.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { leaseOf } from '../schemas/slot.ts';

/**
 * Notes that the terminal fact was delivered; once the compute has ended too, returns the slot, deletes the payload, closes the
 * run's record and settles the task. Twice is harmless: each of these does nothing the second time.
 */
export const settleTask = react(rule, async (event, { tasks, slots, runs, payloads }) => {
  const { taskId } = subject(event);
  const cause = causeOf(event);
  const told = event['detail-type'] !== 'RunEnded';
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  const outcomes: Outcome[] = [];
  if (canSettle(task, told)) {
    // A next attempt that was just asking for its slot when the task ended may hold one as well.
    outcomes.push(await slots.release(task.slotKey, leaseOf(taskId, task.attempt), cause));
    if (!runOf(task)) outcomes.push(await slots.release(task.slotKey, leaseOf(taskId, task.attempt + 1), cause));
    for (const ref of [task.promptRef, ...(task.inputs ?? [])]) await payloads.delete(ref);
    if (runOf(task)) await runs.close(taskId, task.attempt);
  }
  outcomes.push(await tasks.decide(taskId, cause, (now, record, { at }) => settle(now, record, at, told)));
  return outcomes;
});

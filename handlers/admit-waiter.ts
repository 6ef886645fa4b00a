import { admission, awaitsScreening } from '../lifecycle/admission.ts';
import { ignore, step } from '../lifecycle/move.ts';
import { isStale } from '../lifecycle/slot-decisions.ts';
import { admitWaiter as rule } from '../rules/admit-waiter.ts';
import { causeOf, react } from '../runtime/react.ts';
import { leaseOf } from '../schemas/slot.ts';

/**
 * Admits the task that waited for this slot. What the event says is looked up: only who holds the place is admitted. Twice is harmless: an
 * admitted task only confirms its grant again.
 */
export const admitWaiter = react(rule, async (event, { tasks, slots }) => {
  const { taskId, attempt, slotKey } = event.detail.data;
  const cause = causeOf(event);
  const lease = leaseOf(taskId, attempt);
  const isHeld = await slots.holds(slotKey, lease);
  const outcome = await tasks.decide(taskId, cause, (task) => {
    if (task.status !== 'SUBMITTED' && task.status !== 'QUEUED' && task.status !== 'BACKOFF')
      return ignore('grant_was_taken_up');
    if (attempt !== (task.status === 'BACKOFF' ? task.attempt + 1 : task.attempt))
      return ignore('grant_is_of_another_attempt');
    if (!isHeld || slotKey !== task.slotKey) return ignore('grant_is_not_held');
    if (awaitsScreening(task, 'request')) return ignore('awaits_screening');
    return step('admit', {}, [admission(task, slotKey)]);
  });
  switch (outcome.kind) {
    case 'moved':
    case 'already':
      return [outcome, await slots.confirm(slotKey, lease, cause)];
    case 'refused':
      return isStale(lease, outcome.task)
        ? [outcome, await slots.release(slotKey, lease, cause)]
        : [outcome, await slots.confirm(slotKey, lease, cause)];
    case 'said':
      return outcome;
  }
});

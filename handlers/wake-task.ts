import { unknownPurposes, wake } from '../lifecycle/wake.ts';
import { wakeTask as rule } from '../rules/wake-task.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react } from '../runtime/react.ts';

/**
 * Does what is due and sets the next alarm before the wake-up counts as handled. Twice is harmless: the second time nothing is due.
 */
export const wakeTask = react(rule, async (event, { tasks, slots }) => {
  const { taskId } = event.detail.data;
  const cause = causeOf(event);
  const outcome = await tasks.decide(taskId, cause, (task, record, { at, timings }) => wake(task, record, at, timings));
  if (outcome.kind !== 'moved') return outcome;
  const { task } = outcome;
  const strange = unknownPurposes(task).map((purpose) => refused(`unknown_purpose_${purpose}`));
  return task.status === 'QUEUED'
    ? [outcome, ...strange, await slots.check(task.slotKey, cause)]
    : [outcome, ...strange];
});

import { wake } from '../lifecycle/wake.ts';
import { wakeTask as rule } from '../rules/wake-task.ts';
import { causeOf, react } from '../runtime/react.ts';

/**
 * Does what is due and sets the next alarm before the wake-up counts as handled. Twice is harmless: the second time nothing is due.
 */
export const wakeTask = react(rule, async (event, { tasks, slots }) => {
  const { taskId } = event.detail.data;
  const cause = causeOf(event);
  const outcome = await tasks.decide(taskId, cause, (task, record, { at, timings }) => wake(task, record, at, timings));
  if (outcome.kind !== 'moved' || outcome.task.status !== 'QUEUED') return outcome;
  return [outcome, await slots.check(outcome.task.slotKey, cause)];
});

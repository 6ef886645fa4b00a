import { requesterOf } from '../events/define.ts';
import { cancelTask as cancelled } from '../lifecycle/cancel.ts';
import { ignore } from '../lifecycle/move.ts';
import { cancelTask as rule } from '../rules/cancel-task.ts';
import { causeOf, react } from '../runtime/react.ts';
import { because } from '../schemas/reason.ts';

/** Ends a task on request: at once without a run, by way of a stop with one. Twice is harmless: what stops or ended stays so. */
export const cancelTask = react(rule, async (event, { tasks }) => {
  const { taskId, reason } = event.detail.data;
  const requester = requesterOf(event.source);
  return tasks.decide(taskId, causeOf(event), (task) =>
    requester === undefined || requester === task.userId
      ? cancelled(task, because('cancelled', reason ?? 'Cancelled on request.'))
      : ignore('task_of_another_user'),
  );
});

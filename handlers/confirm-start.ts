import { started } from '../lifecycle/judge.ts';
import { ignore } from '../lifecycle/move.ts';
import { confirmStart as rule } from '../rules/confirm-start.ts';
import { causeOf, react } from '../runtime/react.ts';

/** Takes the claim of a runner as the first sign of life. Twice is harmless: a running task has had its first sign. */
export const confirmStart = react(rule, async (event, { tasks }) => {
  const { taskId, attempt, nativeId } = event.detail.data;
  return tasks.decide(taskId, causeOf(event), (task, record) => {
    if (task.attempt !== attempt) return ignore('of_another_attempt');
    if (task.status !== 'STARTING') return ignore('start_is_known');
    return record?.claim?.nativeId === nativeId ? started(task, task.run, nativeId) : ignore('not_the_claimant');
  });
});

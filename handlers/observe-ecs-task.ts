import { readEcsTask } from '../lifecycle/ecs-task.ts';
import { judge } from '../lifecycle/judge.ts';
import { observeEcsTask as rule } from '../rules/observe-ecs-task.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react } from '../runtime/react.ts';

/** Judges what ECS says about a run. Twice is harmless: an event is known by task ARN and version, and an end ends once. */
export const observeEcsTask = react(rule, async (event, { tasks, settings }) => {
  const { observation, remark } = readEcsTask(event.detail, settings.stage);
  if (!observation) return refused(remark ?? 'nothing_observed');
  const outcome = await tasks.decide(observation.taskId, causeOf(event), (task, record, { at }) =>
    judge(task, record, observation, at),
  );
  return remark ? [outcome, refused(remark)] : outcome;
});

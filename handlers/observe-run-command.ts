import { judge } from '../lifecycle/judge.ts';
import { observeRunCommand as rule } from '../rules/observe-run-command.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react } from '../runtime/react.ts';

/**
 * Judges what Systems Manager says about a command on a worker. Twice is harmless: the worker is given back once, and remembers for whom; an
 * event is known by command, worker and status; and that a worker is out is said by every event about it, since the first to find it out may
 * not have come to say it.
 */
export const observeRunCommand = react(rule, async (event, { tasks, workers, ec2 }) => {
  const { observation, remark } = await ec2.observeCommand(event.detail);
  const cause = causeOf(event);
  const outcome = observation
    ? await tasks.decide(observation.taskId, cause, (task, record, { at }) => judge(task, record, observation, at))
    : refused(remark ?? 'nothing_observed');
  const correlationId = ('task' in outcome && outcome.task?.correlationId) || cause.id;
  return [outcome, await workers.told(event.detail['instance-id'], { cause, correlationId })];
});

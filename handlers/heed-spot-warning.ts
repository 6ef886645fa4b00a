import { judge } from '../lifecycle/judge.ts';
import { heedSpotWarning as rule } from '../rules/heed-spot-warning.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react } from '../runtime/react.ts';
import { because } from '../schemas/reason.ts';

/**
 * Stops the run of a worker that is about to be taken back, so that its work is saved for the next attempt. Twice is harmless: a run that is
 * being stopped is not stopped again.
 */
export const heedSpotWarning = react(rule, async (event, { tasks, ec2 }) => {
  const { 'instance-id': id, 'instance-action': action } = event.detail;
  const reason = because('spot_interrupted', `EC2 will ${action} machine ${id} in about two minutes.`);
  const { observation, remark } = await ec2.observeNotice(id, reason, true);
  if (!observation) return refused(remark ?? 'nothing_observed');
  return tasks.decide(observation.taskId, causeOf(event), (task, record, { at }) =>
    judge(task, record, observation, at),
  );
});

import { judge } from '../lifecycle/judge.ts';
import { isOwned } from '../lifecycle/worker.ts';
import { heedTermination as rule } from '../rules/heed-termination.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react } from '../runtime/react.ts';
import { because } from '../schemas/reason.ts';
import { fleetOfGroup, fleetSlotKey } from '../schemas/worker.ts';

/**
 * Lets a machine go that its group takes away: at once if nothing is on it, else when its run has saved its work, by whoever sees that proven.
 * Twice is harmless: a machine leaves once, a run that is being stopped is not stopped again, and a hook is answered once.
 */
export const heedTermination = react(rule, async (event, { tasks, workers, slots, ec2, machines, settings }) => {
  const { AutoScalingGroupName: group, EC2InstanceId: worker } = event.detail;
  const fleet = fleetOfGroup(settings.stage, settings.fleets, group);
  if (fleet === undefined) return refused('group_of_no_fleet');
  const cause = causeOf(event);
  const reason = because('host_lost', `Auto Scaling takes machine ${worker} away.`);
  const { observation, remark } = await ec2.observeNotice(worker, reason, true);
  const places = await slots.check(fleetSlotKey(fleet), cause);
  if (observation) {
    const outcome = await tasks.decide(observation.taskId, cause, (task, record, { at }) =>
      judge(task, record, observation, at),
    );
    return [outcome, places];
  }
  const known = await workers.get(worker);
  // Claimed, or being returned: whoever does that lets it go.
  const isUsed = known !== undefined && isOwned(known);
  if (!isUsed) await machines.proceed({ worker, fleet }, 'terminate');
  return [refused(isUsed ? 'worker_is_given_back_first' : (remark ?? 'machine_may_go')), places];
});

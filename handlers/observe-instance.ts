import { judge } from '../lifecycle/judge.ts';
import { observeInstance as rule } from '../rules/observe-instance.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react } from '../runtime/react.ts';
import { because } from '../schemas/reason.ts';
import { fleetSlotKey } from '../schemas/worker.ts';

/** States in which nothing runs on a machine any more. On its way there whatever runs is told to end, and may take its time. */
const OVER: ReadonlySet<string> = new Set(['terminated', 'stopped']);

/** Ends the run of a worker whose machine is gone, and takes its place out of the fleet. Twice is harmless: a machine goes once, and an end ends once. */
export const observeInstance = react(rule, async (event, { tasks, workers, slots, ec2 }) => {
  const { state, 'instance-id': id } = event.detail;
  const reason = because('host_lost', `EC2 says that machine ${id} is ${state}.`);
  const seen = OVER.has(state) ? ec2.observeLoss(id, reason) : ec2.observeNotice(id, reason, true);
  const { observation, remark } = await seen;
  const worker = await workers.get(id);
  if (!worker) return refused(remark ?? 'of_no_worker');
  const cause = causeOf(event);
  const places = await slots.check(fleetSlotKey(worker.fleet), cause);
  if (!observation) return [refused(remark ?? 'nothing_observed'), places];
  const outcome = await tasks.decide(observation.taskId, cause, (task, record, { at }) =>
    judge(task, record, observation, at),
  );
  return [outcome, places];
});

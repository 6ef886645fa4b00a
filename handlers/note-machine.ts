import { noteMachine as rule } from '../rules/note-machine.ts';
import { refused } from '../runtime/outcome.ts';
import { react } from '../runtime/react.ts';
import { fleetOfGroup } from '../schemas/worker.ts';

/**
 * Notes a machine of a fleet that is made and not ready yet. Twice is harmless, and so is late: one that is known stays as it is. Its launch
 * waits for the machine's own word.
 */
export const noteMachine = react(rule, async (event, { workers, settings }) => {
  const { AutoScalingGroupName: group, EC2InstanceId: worker } = event.detail;
  const fleet = fleetOfGroup(settings.stage, settings.fleets, group);
  if (fleet === undefined) return refused('group_of_no_fleet');
  const { answer } = await workers.boots({ worker, fleet });
  return refused(answer === 'noted' ? 'machine_boots' : 'machine_is_known');
});

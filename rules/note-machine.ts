import { asgLaunchLifecycle } from '../events/aws/asg-lifecycle.ts';
import { defineRule } from './rule.ts';

export const noteMachine = defineRule({
  name: 'note-machine',
  summary: 'Notes a machine of a fleet that is made and not ready yet.',
  on: [asgLaunchLifecycle],
  where: { AutoScalingGroupName: [{ prefix: 'baton-' }] },
  emits: [],
  uses: ['workers', 'settings'],
  kind: 'state',
  delivery: 'queue',
});

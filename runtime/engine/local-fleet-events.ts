import { randomUUID } from 'node:crypto';
import type { Envelope } from '../../schemas/envelope.ts';
import type { CommandRecord, FleetNames, InstanceRecord } from './local-fleet-records.ts';

const ACCOUNT = '000000000000';
const REGION = 'local';

export const instanceArn = (instanceId: string): string => `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/${instanceId}`;

/** Systems Manager user guide, "Monitoring with EventBridge": neither exit code nor comment nor parameters. */
export const invocationEvent = (command: CommandRecord, at: string): Envelope =>
  native('aws.ssm', 'EC2 Command Invocation Status-change Notification', at, [instanceArn(command.instanceId)], {
    'command-id': command.commandId,
    'document-name': command.document,
    'instance-id': command.instanceId,
    'requested-date-time': command.requestedAt,
    status: command.status,
  });

export const stateEvent = ({ instanceId, state, changedAt }: InstanceRecord): Envelope =>
  native('aws.ec2', 'EC2 Instance State-change Notification', changedAt, [instanceArn(instanceId)], {
    'instance-id': instanceId,
    state,
  });

export const spotEvent = (instanceId: string, at: string): Envelope =>
  native('aws.ec2', 'EC2 Spot Instance Interruption Warning', at, [instanceArn(instanceId)], {
    'instance-id': instanceId,
    'instance-action': 'terminate',
  });

/** Auto Scaling user guide, "Amazon EC2 Auto Scaling event reference". */
export const launchHookEvent = (
  { instanceId, launching, launchedAt }: InstanceRecord,
  { group, launchHook }: FleetNames,
) =>
  native('aws.autoscaling', 'EC2 Instance-launch Lifecycle Action', launchedAt, [groupArn(group)], {
    LifecycleActionToken: launching?.token,
    AutoScalingGroupName: group,
    LifecycleHookName: launchHook,
    EC2InstanceId: instanceId,
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
    Origin: 'EC2',
    Destination: 'AutoScalingGroup',
  });

export const terminateHookEvent = (instanceId: string, { group, hook }: FleetNames, token: string, at: string) =>
  native('aws.autoscaling', 'EC2 Instance-terminate Lifecycle Action', at, [groupArn(group)], {
    LifecycleActionToken: token,
    AutoScalingGroupName: group,
    LifecycleHookName: hook,
    EC2InstanceId: instanceId,
    LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
    Origin: 'AutoScalingGroup',
    Destination: 'EC2',
  });

export const groupArn = (group: string): string =>
  `arn:aws:autoscaling:${REGION}:${ACCOUNT}:autoScalingGroup:00000000-0000-0000-0000-000000000000:autoScalingGroupName/${group}`;

/** Nothing makes the ids of these events: two of the same change differ, as on AWS. */
function native(
  source: string,
  type: string,
  at: string,
  resources: readonly string[],
  detail: Readonly<Record<string, unknown>>,
): Envelope {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': type,
    source,
    account: ACCOUNT,
    time: at.replace(/\.\d+Z$/, 'Z'),
    region: REGION,
    resources,
    detail,
  };
}

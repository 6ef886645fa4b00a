import { ArnFormat, type Stack } from 'aws-cdk-lib';
import { FLEET_TAG, STAGE_TAG } from '../schemas/fleet-names.ts';
import { imagePullGrants } from './agent-image.ts';
import { STATUS_TAGS } from './fleet-tags.ts';
import { type Grant, type Places, runnerGrants } from './port-grants.ts';
import type { Ec2Settings } from './settings.ts';
import { agentSecretGrants } from './user-grants.ts';

interface HostPlaces {
  readonly stage: string;
  readonly places: Places;
  readonly logGroupArn: string;
}

/**
 * All that a machine of a fleet may do: what the runner does, pull the image, write logs, take commands, tell its status. The agent on it gets
 * no credentials, but whoever broke out of its container would have these.
 */
export const hostGrants = (
  stack: Stack,
  settings: Ec2Settings,
  { stage, places, logGroupArn }: HostPlaces,
): readonly Grant[] => [
  ...runnerGrants(places),
  ...agentSecretGrants('Fetches the keys of agents when a run begins: a machine is handed none.', settings, places),
  ...imagePullGrants(stack, settings.agentImage),
  ...logGrants(stack, logGroupArn),
  ...commandGrants(stack),
  reachedGrant(stack, stage),
  statusGrant(stack, stage),
];

const logGrants = (stack: Stack, logGroupArn: string): readonly Grant[] => [
  {
    reason: 'Writes what runs and commands say.',
    actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
    resources: [logGroupArn],
  },
  {
    reason: "The agent of Systems Manager looks for the group among all, by its name: it reads groups' names only.",
    actions: ['logs:DescribeLogGroups'],
    resources: [
      stack.formatArn({
        service: 'logs',
        resource: 'log-group',
        resourceName: '*',
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      }),
    ],
  },
];

/**
 * What the agent of Systems Manager needs for commands, and nothing more: AmazonSSMManagedInstanceCore would let every host read all
 * parameters of the account, and every document. Nor `ec2messages`: the boot waits for the connection of `ssmmessages`, and an agent since
 * 3.3.40.0 takes its commands over that.
 */
const commandGrants = (stack: Stack): readonly Grant[] => [
  {
    reason: 'Says that the machine is there, and which agent it has.',
    actions: ['ssm:UpdateInstanceInformation'],
    resources: [instancesOf(stack)],
  },
  {
    reason:
      'Takes commands and answers them: a message is for the machine whose credentials ask, and no action has a resource (Service Authorization Reference, Session Manager Message Gateway Service).',
    actions: [
      'ssmmessages:CreateControlChannel',
      'ssmmessages:CreateDataChannel',
      'ssmmessages:OpenControlChannel',
      'ssmmessages:OpenDataChannel',
    ],
    resources: ['*'],
  },
];

/** An action that has instances as a resource, and their tags as conditions (Service Authorization Reference, Systems Manager). */
const reachedGrant = (stack: Stack, stage: string): Grant => ({
  reason:
    'Asks whether commands reach the machine, before it says that it takes runs. Of another machine of the stage it would hear the same one word; the rest of what Systems Manager knows of machines (DescribeInstanceInformation) could be asked only of all.',
  actions: ['ssm:GetConnectionStatus'],
  resources: [instancesOf(stack)],
  conditions: {
    StringEquals: { [`ssm:resourceTag/${STAGE_TAG}`]: stage },
    StringLike: { [`ssm:resourceTag/${FLEET_TAG}`]: '*' },
  },
});

/** B27 */
const statusGrant = (stack: Stack, stage: string): Grant => ({
  reason:
    'Tells its status to whoever looks at the list: each machine on itself alone, and by two tags that decide nothing. A request that names no tag would fit the condition on tags.',
  actions: ['ec2:CreateTags'],
  resources: [instancesOf(stack)],
  conditions: {
    StringEquals: { [`aws:ResourceTag/${STAGE_TAG}`]: stage },
    StringLike: { [`aws:ResourceTag/${FLEET_TAG}`]: '*' },
    // The one that asks, and the one that is to be tagged.
    ArnLike: { 'ec2:SourceInstanceARN': `${instancesOf(stack).slice(0, -1)}\${ec2:InstanceID}` },
    'ForAllValues:StringEquals': { 'aws:TagKeys': STATUS_TAGS },
    Null: { 'aws:TagKeys': 'false' },
  },
});

/** Every machine of the account and region. */
export const instancesOf = (stack: Stack): string =>
  stack.formatArn({ service: 'ec2', resource: 'instance', resourceName: '*' });

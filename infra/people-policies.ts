import { ArnFormat, CfnOutput, Stack } from 'aws-cdk-lib';
import { ManagedPolicy } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Source } from '../events/define.ts';
import { rules } from '../rules/index.ts';
import type { Rule } from '../rules/rule.ts';
import { startRunOnEc2 } from '../rules/start-run-on-ec2.ts';
import { include } from './granted.ts';
import type { Names } from './names.ts';
import type { FleetPlaces, Grant, Places } from './port-grants.ts';
import type { Reaction } from './reaction.ts';
import { LISTING_INDEX } from './state-stack.ts';

interface Seen extends Pick<Places, 'tableArn' | 'busArn' | 'fleet'> {
  /** Of every rule; by name they could be of another stage. */
  readonly reactions: readonly Reaction[];
  /** Logs of agents whose names a service chose. */
  readonly logGroups: readonly string[];
}

/**
 * Policies to attach to the roles of people: reading, and for operators two, replaying and redriving. Asking and cancelling go through the
 * bus policy. None opens the payload bucket; but a dead request holds its prompt, which operators can read, and the log of an agent holds
 * whatever it prints, which readers can read.
 */
export function peoplePolicies(scope: Construct, names: Names, seen: Seen): void {
  const stack = Stack.of(scope);
  const policies = {
    Reader: { does: 'read tasks and logs', grants: readerGrants(stack, names, seen) },
    Operator: { does: 'replay the archive, redrive dead letters', grants: operatorGrants(stack, names, seen) },
    // IAM takes 6,144 characters of a policy, and a deployment with every back end has more names than that.
    Redriver: { does: 'redrive dead letters to functions, beside the operator policy', grants: redriverGrants(seen) },
  };
  for (const [who, { does, grants }] of Object.entries(policies)) {
    const policy = new ManagedPolicy(scope, `${who}Policy`, { description: `Baton, ${names.prefix}: ${does}.` });
    include(policy, grants);
    new CfnOutput(scope, `${who}PolicyArn`, { value: policy.managedPolicyArn });
  }
}

const readerGrants = (stack: Stack, names: Names, { tableArn, busArn, fleet, logGroups }: Seen): readonly Grant[] => [
  {
    reason: 'Tasks, their runs and slots; short ids and lists of all users read the whole table.',
    actions: ['dynamodb:DescribeTable', 'dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:Scan'],
    resources: [tableArn, `${tableArn}/index/${LISTING_INDEX}`],
  },
  {
    reason: 'Looks whether the bus exists before anything is asked for.',
    actions: ['events:DescribeEventBus'],
    resources: [busArn],
  },
  {
    reason: 'Logs of the functions and of the agents of this stage.',
    actions: ['logs:FilterLogEvents', 'logs:GetLogEvents', 'logs:DescribeLogStreams'],
    resources: [arnOf(stack, 'logs', `log-group:${names.logGroupOf('*')}`), ...logGroups],
  },
  {
    // By name, also where this deployment has no fleet: who asks for it must be told that, not that it is forbidden.
    reason: 'Looks whether runs start on fleets here, by the rule that starts them.',
    actions: ['events:DescribeRule'],
    resources: [arnOf(stack, 'events', `rule/${names.bus}/${names.ofRule(startRunOnEc2.name)}`)],
  },
  ...(fleet ? fleetReaderGrants(fleet) : []),
];

const fleetReaderGrants = ({ documentArn }: FleetPlaces): readonly Grant[] => [
  {
    reason: 'Looks whether the document of the fleets is there.',
    actions: ['ssm:DescribeDocument'],
    resources: [documentArn],
  },
  {
    reason:
      'Looks whether the groups of the fleets are there; has no resource (Service Authorization Reference, Auto Scaling). Readers see the names, sizes, tags and machines of all groups of the account and region.',
    actions: ['autoscaling:DescribeAutoScalingGroups'],
    resources: ['*'],
  },
];

const operatorGrants = (stack: Stack, names: Names, { reactions }: Seen): readonly Grant[] => [
  {
    // By name, also where this deployment has no native archive: who asks for it must be told that, not that it is forbidden.
    reason: 'Replays of this stage: their names are free.',
    actions: ['events:StartReplay', 'events:DescribeReplay', 'events:CancelReplay', 'events:DescribeArchive'],
    resources: [
      arnOf(stack, 'events', `archive/${names.archive}`),
      arnOf(stack, 'events', `archive/${names.nativeArchive}`),
      arnOf(stack, 'events', 'replay/*'),
    ],
  },
  {
    reason: 'Reads, and after redriving deletes, dead letters of this stage. Those of requests hold their prompts.',
    actions: [
      'sqs:GetQueueUrl',
      'sqs:ReceiveMessage',
      'sqs:ChangeMessageVisibility',
      'sqs:DeleteMessage',
      'sqs:GetQueueAttributes',
      'sqs:StartMessageMoveTask',
    ],
    resources: reactions.map(({ deadLetters }) => deadLetters.queueArn),
  },
  ...undeployedGrants(stack, names, reactions),
  {
    reason: 'A dead message goes back into the queue that it came from.',
    actions: ['sqs:GetQueueUrl', 'sqs:SendMessage'],
    resources: reactions.flatMap(({ queue }) => queue?.queueArn ?? []),
  },
];

const redriverGrants = ({ reactions }: Seen): readonly Grant[] => [
  {
    reason: 'Any other dead letter goes back to the function of its rule.',
    actions: ['lambda:InvokeFunction'],
    resources: reactions.filter(({ rule }) => !hearsRequests(rule)).map((reaction) => reaction.function.functionArn),
  },
];

/** Who redrives asks for the dead letters of every rule that there is, and must be told that one that is not deployed has none. */
function undeployedGrants(stack: Stack, names: Names, reactions: readonly Reaction[]): readonly Grant[] {
  const deployed = new Set(reactions.map(({ rule }) => rule.name));
  const others = rules.filter(({ name }) => !deployed.has(name));
  if (others.length === 0) return [];
  return [
    {
      reason: 'Learns of rules that are not deployed that they have no dead letters.',
      actions: ['sqs:GetQueueUrl'],
      resources: others.map(({ name }) => arnOf(stack, 'sqs', names.deadLettersOf(name))),
    },
  ];
}

/**
 * Whether the rule acts on what people ask for: who may invoke its function directly could ask in any name. Redriving lets operators put
 * messages into its queue, so they are still trusted not to make one up; but no mistake with an invocation becomes a task.
 */
const hearsRequests = ({ on }: Rule): boolean => on.some(({ source }) => source === ('baton.request' satisfies Source));

const arnOf = (stack: Stack, service: string, resource: string): string =>
  stack.formatArn({ service, resource, arnFormat: ArnFormat.NO_RESOURCE_NAME });

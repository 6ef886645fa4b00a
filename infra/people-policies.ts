import { ArnFormat, CfnOutput, Stack } from 'aws-cdk-lib';
import { ManagedPolicy } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { include } from './granted.ts';
import type { Names } from './names.ts';
import type { Grant, Places } from './port-grants.ts';
import { LISTING_INDEX } from './state-stack.ts';

interface Seen extends Pick<Places, 'tableArn' | 'busArn' | 'alarmQueueArn'> {
  readonly archiveArn: string;
  /** Of every rule; by name they could be of another stage. */
  readonly deadLetterArns: readonly string[];
  readonly functionArns: readonly string[];
}

/**
 * Policies to attach to the roles of people: reading, and for operators replaying and redriving. Asking and cancelling go through the
 * bus policy. Prompts nobody can read: they are in the payload bucket.
 */
export function peoplePolicies(scope: Construct, names: Names, seen: Seen): void {
  const stack = Stack.of(scope);
  const policies = {
    Reader: { does: 'read tasks and logs', grants: readerGrants(stack, names, seen) },
    Operator: { does: 'replay the archive, redrive dead letters', grants: operatorGrants(stack, seen) },
  };
  for (const [who, { does, grants }] of Object.entries(policies)) {
    const policy = new ManagedPolicy(scope, `${who}Policy`, { description: `Baton, ${names.prefix}: ${does}.` });
    include(policy, grants);
    new CfnOutput(scope, `${who}PolicyArn`, { value: policy.managedPolicyArn });
  }
}

const readerGrants = (stack: Stack, names: Names, { tableArn, busArn }: Seen): readonly Grant[] => [
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
    resources: [arnOf(stack, 'logs', `log-group:${names.logGroupOf('*')}`)],
  },
];

const operatorGrants = (
  stack: Stack,
  { archiveArn, alarmQueueArn, deadLetterArns, functionArns }: Seen,
): readonly Grant[] => [
  {
    reason: 'Replays of this stage: their names are free.',
    actions: ['events:StartReplay', 'events:DescribeReplay', 'events:CancelReplay', 'events:DescribeArchive'],
    resources: [archiveArn, arnOf(stack, 'events', 'replay/*')],
  },
  {
    reason: 'Reads, and after redriving deletes, dead letters of this stage.',
    actions: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:StartMessageMoveTask'],
    resources: deadLetterArns,
  },
  {
    reason: 'A dead wake-up goes back into the alarm queue.',
    actions: ['sqs:SendMessage'],
    resources: [alarmQueueArn],
  },
  {
    reason: 'Any other dead letter goes back to the function of its rule.',
    actions: ['lambda:InvokeFunction'],
    resources: functionArns,
  },
];

const arnOf = (stack: Stack, service: string, resource: string): string =>
  stack.formatArn({ service, resource, arnFormat: ArnFormat.NO_RESOURCE_NAME });

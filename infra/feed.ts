import { Duration } from 'aws-cdk-lib';
import { type EventPattern, Rule as EventRule, type IEventBus, type IRuleTarget } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as FunctionTarget, SqsQueue as QueueTarget } from 'aws-cdk-lib/aws-events-targets';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { EventSourceMapping, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { Rule } from '../rules/rule.ts';
import {
  DEAD_LETTER_RETENTION_D,
  DELIVERY_AGE_MAX_S,
  HAND_OFF_RETRIES,
  RECEIVES_MAX,
  VISIBILITY_S,
} from './delivery-bounds.ts';
import { allow } from './granted.ts';
import type { Names } from './names.ts';
import type { RulePattern } from './scoped-pattern.ts';

/** Where a rule's events come from: a bus, the default one where none is named; or the queue of the alarm clock, which no bus carries. */
export type Feed = BusFeed | AlarmFeed;

interface BusFeed {
  readonly pattern: RulePattern;
  readonly bus?: IEventBus;
}

interface AlarmFeed {
  readonly alarms: IQueue;
  readonly deadLetters: IQueue;
}

interface FeedTo {
  readonly rule: Rule;
  readonly names: Names;
  readonly feed: Feed;
  readonly to: LambdaFunction;
  readonly role: Role;
  readonly deadLetters: IQueue;
}

/** Brings events to the function. Answers the queue that it reads, the rule's own or that of the alarm clock; none where EventBridge invokes it. */
export function feedFrom(scope: Construct, { rule, names, feed, to, role, deadLetters }: FeedTo): IQueue | undefined {
  if ('alarms' in feed) {
    poll(scope, feed.alarms, to, role);
    return feed.alarms;
  }
  const policy = {
    deadLetterQueue: deadLetters,
    retryAttempts: HAND_OFF_RETRIES,
    maxEventAge: Duration.seconds(DELIVERY_AGE_MAX_S),
  };
  if (rule.delivery === 'direct') {
    eventRule(scope, { rule, names, feed, target: new FunctionTarget(to, policy) });
    return undefined;
  }
  const queue = new Queue(scope, 'Queue', {
    queueName: names.ofRule(rule.name),
    encryption: QueueEncryption.SQS_MANAGED,
    enforceSSL: true,
    visibilityTimeout: Duration.seconds(VISIBILITY_S),
    retentionPeriod: Duration.days(DEAD_LETTER_RETENTION_D),
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: RECEIVES_MAX },
  });
  poll(scope, queue, to, role);
  eventRule(scope, { rule, names, feed, target: new QueueTarget(queue, policy) });
  return queue;
}

interface Heard {
  readonly rule: Rule;
  readonly names: Names;
  readonly feed: BusFeed;
  readonly target: IRuleTarget;
}

function eventRule(scope: Construct, { rule, names, feed: { bus, pattern }, target }: Heard): void {
  const { 'detail-type': detailType, ...rest } = pattern;
  new EventRule(scope, 'Rule', {
    ruleName: names.ofRule(rule.name),
    description: rule.summary,
    ...(bus ? { eventBus: bus } : {}),
    eventPattern: { ...rest, detailType } as EventPattern,
    targets: [target],
  });
}

/** One message at a time: a failure sends back no other, and the tries of a message are its own. */
const BATCH = 1;

function poll(scope: Construct, queue: IQueue, to: LambdaFunction, role: Role): void {
  allow(role, [
    {
      reason: 'Lambda takes messages from the queue in the name of the function.',
      actions: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ChangeMessageVisibility'],
      resources: [queue.queueArn],
    },
  ]);
  new EventSourceMapping(scope, 'Messages', {
    target: to,
    eventSourceArn: queue.queueArn,
    batchSize: BATCH,
    reportBatchItemFailures: true,
  });
}

import { join } from 'node:path';
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function as LambdaFunction, RecursiveLoop, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import { ATTEMPTS_OF_A_DELIVERY, type Rule } from '../rules/rule.ts';
import { type PortName, portEnvironment } from '../schemas/environment.ts';
import { deadLettersFor } from './dead-letters.ts';
import { DELIVERY_AGE_MAX_S, FUNCTION_TIMEOUT_S } from './delivery-bounds.ts';
import { type Feed, feedFrom } from './feed.ts';
import { environmentOf, type Variables } from './function-environment.ts';
import { allow } from './granted.ts';
import type { Names } from './names.ts';
import { type Grant, type Places, portGrants } from './port-grants.ts';

/** Memory in MB. Lambda gives CPU in proportion; below this a cold start, which loads one to four SDK clients, takes more than a second. */
const FUNCTION_MEMORY_MB = 512;

/** Days that logs stay: a month, as long as people ask what happened to a task. */
export const LOG_RETENTION = RetentionDays.ONE_MONTH;

export interface ReactionProps {
  readonly rule: Rule;
  readonly names: Names;
  /** Directory with one bundle per rule: `<rule>/index.mjs`. */
  readonly bundles: string;
  readonly variables: Variables;
  readonly places: Places;
  readonly feed: Feed;
}

/**
 * A rule value as AWS resources: function with its role and log group, the way in (EventBridge rule, queue, or both), dead letters for
 * every way in and for failed runs. The function's environment and actions are those of the ports that the rule `uses`.
 */
export class Reaction extends Construct {
  readonly rule: Rule;
  readonly function: LambdaFunction;
  readonly role: Role;
  readonly deadLetters: IQueue;
  /** The queue that the function reads, where one is between. */
  readonly queue: IQueue | undefined;

  constructor(scope: Construct, { rule, names, bundles, variables, places, feed }: ReactionProps) {
    super(scope, rule.name);
    this.rule = rule;
    const ports = portsOf(rule);
    const logGroup = new LogGroup(this, 'Logs', {
      logGroupName: names.logGroupOf(rule.name),
      retention: LOG_RETENTION,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // By its path the policy of the bus knows who may say facts.
    this.role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      path: names.handlerPath,
    });
    this.deadLetters = 'alarms' in feed ? feed.deadLetters : deadLettersFor(this, names.deadLettersOf(rule.name));
    allow(this.role, [
      {
        reason: 'Writes its log.',
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      },
      {
        reason: 'Lambda puts what failed for good there, in the name of the function.',
        actions: ['sqs:SendMessage'],
        resources: [this.deadLetters.queueArn],
      },
      ...ports.flatMap((port): readonly Grant[] =>
        portGrants[port]({ ...places, ...dutiesOf(rule), deadLettersArn: this.deadLetters.queueArn }),
      ),
    ]);
    this.function = new LambdaFunction(this, 'Function', {
      functionName: names.ofRule(rule.name),
      description: rule.summary,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: FUNCTION_MEMORY_MB,
      timeout: Duration.seconds(FUNCTION_TIMEOUT_S),
      code: Code.fromAsset(join(bundles, rule.name)),
      handler: 'index.handler',
      ...('alarms' in feed ? ringsAgain : {}),
      environment: {
        ...environmentOf(ports, { ...variables, BATON_DEAD_LETTERS_URL: this.deadLetters.queueUrl }),
        POWERTOOLS_METRICS_NAMESPACE: names.metrics,
      },
      role: this.role,
      logGroup,
      retryAttempts: asynchronousTriesOf(rule) - 1,
      maxEventAge: Duration.seconds(DELIVERY_AGE_MAX_S),
      onFailure: { bind: () => ({ destination: this.deadLetters.queueArn }) },
    });
    this.queue = feedFrom(this, {
      rule,
      names,
      feed,
      to: this.function,
      role: this.role,
      deadLetters: this.deadLetters,
    });
  }
}

/**
 * A wake-up arms the next one in the queue that it came from, for as long as its task lives. Lambda takes that for a defect after about
 * 16 rounds and stops it (AWS Lambda guide, "Recursive loop detection"), unless the function says that it is meant.
 */
const ringsAgain = { recursiveLoop: RecursiveLoop.ALLOW };

/**
 * The ports of a rule's function: those that it uses, what a rule with `once` remembers,
 * the dead letters of one that reads a queue, and the bus. Throws for a name that is no port.
 */
export function portsOf({ name, uses, once, delivery }: Rule): readonly PortName[] {
  const unknown = uses.filter((port) => !(port in portEnvironment));
  if (unknown.length > 0) throw new Error(`The rule ${name} uses ${unknown.join(', ')}: no such port on AWS.`);
  return [
    ...(uses as readonly PortName[]),
    ...(once ? (['effects'] as const) : []),
    ...(delivery === 'queue' ? (['letters'] as const) : []),
    'bus',
  ];
}

/** What a rule alone does by a port that others use too, as told by the facts that it hears: each is asked for in one place. */
function dutiesOf({ on }: Rule): Pick<Places, 'startsRuns' | 'stopsRuns' | 'replacesMachines'> {
  const hears = ({ type: wanted }: { readonly type: string }) => on.some(({ type }) => type === wanted);
  return {
    startsRuns: hears(taskHydrated),
    stopsRuns: hears(runStopRequested),
    replacesMachines: hears(workerQuarantined),
  };
}

/** Tries of an asynchronous invocation, at most what Lambda makes. A queue makes more of them, for a day (RECEIVES_MAX). */
function asynchronousTriesOf({ name, attempts, delivery }: Rule): number {
  if (delivery === 'direct' && attempts > ATTEMPTS_OF_A_DELIVERY) {
    throw new Error(
      `The rule ${name} wants ${attempts} attempts: beyond ${ATTEMPTS_OF_A_DELIVERY} it needs delivery "queue".`,
    );
  }
  return Math.min(attempts, ATTEMPTS_OF_A_DELIVERY);
}

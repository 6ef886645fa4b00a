import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  type IMetric,
  MathExpression,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { alarmRang } from '../events/alarm-rang.ts';
import { ssmCommandInvocation } from '../events/aws/ssm-command-invocation.ts';
import { runOrphaned } from '../events/run-orphaned.ts';
import { taskHydrated } from '../events/task-hydrated.ts';
import type { Rule } from '../rules/rule.ts';
import type { PortName } from '../schemas/environment.ts';
import { FAILING_MAX_MIN, OLDEST_MESSAGE_MAX_S } from './delivery-bounds.ts';
import type { Names } from './names.ts';
import { hearsNative } from './scoped-pattern.ts';

/** Minutes of one look at the figures: dead letters wait for days, so minutes do not matter. */
const LOOK_MIN = 5;
/** Looks in a row with a ringing alarm clock that nobody answers: 15 minutes, far beyond what a burst takes. */
const UNANSWERED_LOOKS = 3;

/** Minutes of one look at starts that are put off: longer than the longest wait between two of a task (BACKOFF_MAX_S). */
const DELAYED_LOOK_MIN = 15;
/**
 * Looks in a row with such a start: an hour, far beyond what it takes until another start has registered the definition, or until a worker
 * that is just returning has come back.
 */
const DELAYED_LOOKS = 4;

/** What starts are put off for, by the port that tells it. */
const PUT_OFF_FOR: Readonly<Record<string, string>> = {
  definitions:
    'there is no task definition yet, and tasks wait for it until they time out. The log has each with definition_is_not_ready (docs/runbook.md#starts-are-put-off)',
  ec2: 'tasks that have their turn find no worker idle, and look again until they time out. The log has each with start_is_put_off (docs/runbook.md#no-worker-is-free)',
} satisfies Partial<Record<PortName, string>>;

/** Facts that a person must look at: compute may be running on, and costs money. Functions count them by type (dimension `rule`). */
const LOUD_FACTS: readonly string[] = [runOrphaned.type];

interface Watched {
  readonly rule: Rule;
  readonly names: Names;
  readonly alarmActions: readonly IAlarmAction[];
}

/**
 * The alarms of a reaction: dead letters; events that did not even become dead letters; messages that wait or fail too long; wake-ups that
 * nobody takes; facts that are alarms; what cannot be screened, started or read.
 */
export function reactionAlarms(scope: Construct, watched: Watched): void {
  const { rule, names, alarmActions } = watched;
  const isWoken = rule.on.some(({ source }) => source === alarmRang.source);
  const { queue, deadLetters } = isWoken
    ? { queue: names.alarmQueue, deadLetters: names.alarmDeadLetters }
    : {
        queue: rule.delivery === 'queue' ? names.ofRule(rule.name) : undefined,
        deadLetters: names.deadLettersOf(rule.name),
      };
  const period = Duration.minutes(LOOK_MIN);
  const name = names.ofRule(rule.name);
  const alarms = [
    alarm('DeadLetters', `${name}-dead-letters`, {
      description: `Dead letters of ${rule.name}: ${rule.summary} Look at them, correct the cause, redrive them: baton redrive (docs/runbook.md).`,
      metric: ofQueue(deadLetters, 'ApproximateNumberOfMessagesVisible', { period, statistic: Stats.MAXIMUM }),
    }),
    alarm('Lost', `${name}-lost`, {
      description: `Events for ${rule.name} that reached neither its function nor its dead letters. Due dates repeat what drives a task; a request is gone.`,
      metric: lost(watched, isWoken, period),
    }),
  ];
  if (queue !== undefined) {
    alarms.push(
      alarm('Late', `${name}-late`, {
        description: `Messages for ${rule.name} wait for ${OLDEST_MESSAGE_MAX_S / 60} minutes: its function is throttled, or does not keep up (docs/runbook.md).`,
        metric: ofQueue(queue, 'ApproximateAgeOfOldestMessage', { period, statistic: Stats.MAXIMUM }),
        threshold: OLDEST_MESSAGE_MAX_S,
      }),
      alarm('Failing', `${name}-failing`, {
        description: `Messages for ${rule.name} fail again and again: ${rule.summary} Look at its log; they become dead letters after a day (docs/runbook.md).`,
        metric: failing(queue, period),
        looks: FAILING_MAX_MIN / LOOK_MIN,
      }),
    );
  }
  if (isWoken) {
    alarms.push(
      alarm('Unanswered', `${name}-unanswered`, {
        description: 'The alarm clock rings and nobody answers: the function is throttled, or its queue is not read.',
        metric: ofQueue(names.alarmQueue, 'ApproximateNumberOfMessagesVisible', { period, statistic: Stats.MINIMUM }),
        looks: UNANSWERED_LOOKS,
      }),
    );
  }
  for (const { type } of rule.emits.filter(({ type }) => LOUD_FACTS.includes(type))) {
    alarms.push(
      alarm(type, `${name}-${type}`, {
        description: `${rule.name} said ${type}. What to do: docs/runbook.md.`,
        metric: counted(type, period),
      }),
    );
  }
  if (rule.uses.includes('screening')) {
    alarms.push(
      alarm('ScreeningFailed', `${name}-ScreeningFailed`, {
        description:
          'A text could not be screened, and its task was ended for it: the guardrail does not answer (docs/runbook.md).',
        metric: counted('ScreeningFailed', period),
      }),
    );
  }
  const [putOffFor] = starts(rule) ? rule.uses.flatMap((port) => PUT_OFF_FOR[port] ?? []) : [];
  if (putOffFor !== undefined) {
    alarms.push(
      alarm('StartDelayed', `${name}-StartDelayed`, {
        description: `Starts have been put off for an hour: ${putOffFor}.`,
        metric: counted('StartDelayed', Duration.minutes(DELAYED_LOOK_MIN)),
        looks: DELAYED_LOOKS,
      }),
    );
  }
  if (rule.on.some(({ type }) => type === ssmCommandInvocation.type)) {
    alarms.push(
      alarm('UnknownStatus', `${name}-UnknownStatus`, {
        description:
          'Systems Manager said a status of a command that this version of Baton does not know. It changes nothing: runs are looked at when they are due. Please report the word, which the log has (docs/runbook.md#systems-manager-says-an-unknown-status).',
        metric: counted('UnknownStatus', period),
      }),
    );
  }
  for (const one of alarms) one.addAlarmAction(...alarmActions);

  /** What the function counts itself. */
  function counted(metricName: string, every: Duration): Metric {
    return new Metric({
      namespace: names.metrics,
      metricName,
      dimensionsMap: { rule: rule.name },
      period: every,
      statistic: Stats.SUM,
    });
  }

  function alarm(
    id: string,
    alarmName: string,
    seen: { description: string; metric: IMetric; looks?: number; threshold?: number },
  ): Alarm {
    return new Alarm(scope, `${id}Alarm`, {
      alarmName,
      alarmDescription: seen.description,
      metric: seen.metric,
      threshold: seen.threshold ?? 1,
      evaluationPeriods: seen.looks ?? 1,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
  }
}

const starts = ({ on }: Rule): boolean => on.some(({ type }) => type === taskHydrated.type);

const ofQueue = (QueueName: string, metricName: string, looked: { period: Duration; statistic: string }): IMetric =>
  new Metric({ namespace: 'AWS/SQS', metricName, dimensionsMap: { QueueName }, ...looked });

/**
 * Messages handed out and not handled. One that fails each time is handed out at least once per look (VISIBILITY_S is shorter); of those
 * that are handled in the end the differences of several looks cancel out.
 */
const failing = (queue: string, period: Duration): IMetric =>
  new MathExpression({
    expression: 'received - deleted',
    label: 'failed tries',
    usingMetrics: {
      received: ofQueue(queue, 'NumberOfMessagesReceived', { period, statistic: Stats.SUM }),
      deleted: ofQueue(queue, 'NumberOfMessagesDeleted', { period, statistic: Stats.SUM }),
    },
    period,
  });

/**
 * Events that Lambda dropped, that it could not hand to the dead letters, and that EventBridge could not. Sums whatever of them exists: a
 * metric that never counted anything has no data. Dimensions: EventBridge user guide, "EventBridge metrics" (a bus of one's own is named
 * beside the rule).
 */
function lost({ rule, names }: Watched, isWoken: boolean, period: Duration): IMetric {
  const options = { period, statistic: Stats.SUM };
  const ofFunction = (metricName: string) =>
    new Metric({
      namespace: 'AWS/Lambda',
      metricName,
      dimensionsMap: { FunctionName: names.ofRule(rule.name) },
      ...options,
    });
  const ofRule = {
    namespace: 'AWS/Events',
    metricName: 'InvocationsFailedToBeSentToDlq',
    dimensionsMap: {
      RuleName: names.ofRule(rule.name),
      ...(hearsNative(rule) ? {} : { EventBusName: names.bus }),
    },
    ...options,
  };
  return new MathExpression({
    expression: 'SUM(METRICS())',
    label: 'lost events',
    usingMetrics: {
      dropped: ofFunction('AsyncEventsDropped'),
      unsent: ofFunction('DestinationDeliveryFailures'),
      ...(isWoken ? {} : { undelivered: new Metric(ofRule) }),
    },
    period,
  });
}

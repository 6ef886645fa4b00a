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
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { runOrphaned } from '../events/run-orphaned.ts';
import type { Rule } from '../rules/rule.ts';
import { FAILING_MAX_MIN, OLDEST_MESSAGE_MAX_S } from './delivery-bounds.ts';
import type { Feed, WayIn } from './feed.ts';
import type { Names } from './names.ts';

/** Minutes of one look at the figures: dead letters wait for days, so minutes do not matter. */
const LOOK_MIN = 5;
/** Looks in a row with a ringing alarm clock that nobody answers: 15 minutes, far beyond what a burst takes. */
const UNANSWERED_LOOKS = 3;

/** Minutes of one look at starts that are put off: longer than the longest wait between two of a task (BACKOFF_MAX_S). */
const DELAYED_LOOK_MIN = 15;
/** Looks in a row with such a start: an hour, far beyond what it takes until another start has registered the definition. */
const DELAYED_LOOKS = 4;

/** Facts that a person must look at: compute may be running on, and costs money. Functions count them by type (dimension `rule`). */
const LOUD_FACTS: readonly string[] = [runOrphaned.type];

interface Watched {
  readonly rule: Rule;
  readonly names: Names;
  readonly feed: Feed;
  readonly wayIn: WayIn;
  readonly function: LambdaFunction;
  readonly deadLetters: IQueue;
  readonly alarmActions: readonly IAlarmAction[];
}

/**
 * The alarms of a reaction: dead letters; events that did not even become dead letters; messages that wait or fail too long; wake-ups that
 * nobody takes; facts that are alarms; what cannot be screened or started.
 */
export function reactionAlarms(scope: Construct, watched: Watched): void {
  const { rule, names, feed, wayIn, deadLetters, alarmActions } = watched;
  const period = Duration.minutes(LOOK_MIN);
  const name = names.ofRule(rule.name);
  const alarms = [
    alarm('DeadLetters', `${name}-dead-letters`, {
      description: `Dead letters of ${rule.name}: ${rule.summary} Look at them, correct the cause, redrive them: baton redrive (docs/runbook.md).`,
      metric: deadLetters.metricApproximateNumberOfMessagesVisible({ period, statistic: Stats.MAXIMUM }),
    }),
    alarm('Lost', `${name}-lost`, {
      description: `Events for ${rule.name} that reached neither its function nor its dead letters. Due dates repeat what drives a task; a request is gone.`,
      metric: lost(watched, period),
    }),
  ];
  if (wayIn.queue) {
    alarms.push(
      alarm('Late', `${name}-late`, {
        description: `Messages for ${rule.name} wait for ${OLDEST_MESSAGE_MAX_S / 60} minutes: its function is throttled, or does not keep up (docs/runbook.md).`,
        metric: wayIn.queue.metricApproximateAgeOfOldestMessage({ period, statistic: Stats.MAXIMUM }),
        threshold: OLDEST_MESSAGE_MAX_S,
      }),
      alarm('Failing', `${name}-failing`, {
        description: `Messages for ${rule.name} fail again and again: ${rule.summary} Look at its log; they become dead letters after a day (docs/runbook.md).`,
        metric: failing(wayIn.queue, period),
        looks: FAILING_MAX_MIN / LOOK_MIN,
      }),
    );
  }
  if ('alarms' in feed) {
    alarms.push(
      alarm('Unanswered', `${name}-unanswered`, {
        description: 'The alarm clock rings and nobody answers: the function is throttled, or its queue is not read.',
        metric: feed.alarms.metricApproximateNumberOfMessagesVisible({ period, statistic: Stats.MINIMUM }),
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
  if (rule.uses.includes('definitions')) {
    alarms.push(
      alarm('StartDelayed', `${name}-StartDelayed`, {
        description:
          'Starts have been put off for an hour: there is no task definition yet, and tasks wait for it until they time out. The log has each with definition_is_not_ready (docs/runbook.md#starts-are-put-off).',
        metric: counted('StartDelayed', Duration.minutes(DELAYED_LOOK_MIN)),
        looks: DELAYED_LOOKS,
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

/**
 * Messages handed out and not handled. One that fails each time is handed out at least once per look (VISIBILITY_S is shorter); of those
 * that are handled in the end the differences of several looks cancel out.
 */
const failing = (queue: IQueue, period: Duration): IMetric =>
  new MathExpression({
    expression: 'received - deleted',
    label: 'failed tries',
    usingMetrics: {
      received: queue.metricNumberOfMessagesReceived({ period, statistic: Stats.SUM }),
      deleted: queue.metricNumberOfMessagesDeleted({ period, statistic: Stats.SUM }),
    },
    period,
  });

/**
 * Events that Lambda dropped, that it could not hand to the dead letters, and that EventBridge could not. Sums whatever of them exists: a
 * metric that never counted anything has no data. Dimensions: EventBridge user guide, "EventBridge metrics" (a bus of one's own is named
 * beside the rule).
 */
function lost({ rule, names, feed, wayIn, function: of }: Watched, period: Duration): IMetric {
  const options = { period, statistic: Stats.SUM };
  const ofRule = {
    namespace: 'AWS/Events',
    metricName: 'InvocationsFailedToBeSentToDlq',
    dimensionsMap: {
      RuleName: names.ofRule(rule.name),
      ...('bus' in feed ? { EventBusName: names.bus } : {}),
    },
    ...options,
  };
  return new MathExpression({
    expression: 'SUM(METRICS())',
    label: 'lost events',
    usingMetrics: {
      dropped: of.metric('AsyncEventsDropped', options),
      unsent: of.metric('DestinationDeliveryFailures', options),
      ...(wayIn.eventRule ? { undelivered: new Metric(ofRule) } : {}),
    },
    period,
  });
}

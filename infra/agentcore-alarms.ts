import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  MathExpression,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import type { Names } from './names.ts';

/** Minutes of one look at the figures. */
const LOOK_MIN = 5;
/**
 * Looks in a row with a start that failed: a quarter of an hour. One task whose container does not come up has used its attempts within two
 * of them and does not ring alone: its own reason says why.
 */
const LOOKS = 3;

/** What of an invocation is no success (developer guide, runtime metrics). Stops are not counted: most of them find nothing any more, as they should. */
const FAILURES = { throttled: 'Throttles', failed: 'SystemErrors', refused: 'UserErrors' } as const;

interface Watched {
  readonly names: Names;
  readonly runtimeArn: string;
  readonly endpoint: string;
  readonly alarmActions: readonly IAlarmAction[];
}

/** Rings when starts of several tasks fail: most of them cost an attempt, and nothing else tells that it is not one task's fault. */
export function agentcoreAlarms(scope: Construct, { names, runtimeArn, endpoint, alarmActions }: Watched): void {
  const period = Duration.minutes(LOOK_MIN);
  // Namespace and dimensions as the CDK's own construct has them (aws-bedrockagentcore, `Runtime.metric`).
  const ofStarts = (metricName: string) =>
    new Metric({
      namespace: 'AWS/Bedrock-AgentCore',
      metricName,
      dimensionsMap: {
        Operation: 'InvokeAgentRuntime',
        Name: `${names.runtime}::${endpoint}`,
        Resource: runtimeArn,
      },
      period,
      statistic: Stats.SUM,
    });
  const alarm = new Alarm(scope, 'StartsFailAlarm', {
    alarmName: `${names.prefix}-agentcore-starts-fail`,
    alarmDescription:
      'Sessions of AgentCore have failed to start for a quarter of an hour: throttled, refused, or the image does not come up. The log of start-run-on-agentcore says why (docs/runbook.md).',
    metric: new MathExpression({
      expression: 'SUM(METRICS())',
      label: 'failed starts',
      usingMetrics: Object.fromEntries(Object.entries(FAILURES).map(([id, metric]) => [id, ofStarts(metric)])),
      period,
    }),
    threshold: 1,
    evaluationPeriods: LOOKS,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
  alarm.addAlarmAction(...alarmActions);
}

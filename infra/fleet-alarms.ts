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
import { workerBootFailed } from '../events/worker-boot-failed.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import type { Rule } from '../rules/rule.ts';
import { HOOK_WAIT_S } from '../schemas/worker.ts';
import type { FleetGroup } from './fleet-group.ts';
import type { Names } from './names.ts';

/** Minutes of one look at the figures. */
const LOOK_MIN = 5;

/**
 * Looks in a row with too few machines: one that goes, and one that is made and gives up, and another look for each. A machine that is
 * replaced and boots is in service long before.
 */
const SMALL_LOOKS = Math.ceil((HOOK_WAIT_S.terminate + HOOK_WAIT_S.launch) / (LOOK_MIN * 60)) + 2;

interface Watched {
  readonly names: Names;
  /** The rules of this deployment. */
  readonly rules: readonly Rule[];
  readonly fleets: readonly Pick<FleetGroup, 'fleet' | 'groupName'>[];
  readonly alarmActions: readonly IAlarmAction[];
}

/** B21. Rings when a machine could not be made ready, when one had to be taken out, and when a fleet stays smaller than it should be. */
export function fleetAlarms(scope: Construct, { names, rules, fleets, alarmActions }: Watched): void {
  const period = Duration.minutes(LOOK_MIN);
  const quarantining = rules.filter(({ emits }) => emits.some(({ type }) => type === workerQuarantined.type));
  const [afterBoot, others] = [true, false].map((wanted) =>
    quarantining.filter(({ on }) => on.some(({ type }) => type === workerBootFailed.type) === wanted),
  );
  const alarms = [
    alarm('BootFailed', `${names.prefix}-fleet-${workerBootFailed.type}`, {
      description:
        'A machine of a fleet could not be made ready, and is replaced. If the next one fails too, the fleet shrinks: the event says at which line of the boot (docs/runbook.md#a-machine-does-not-boot).',
      metric: quarantined(afterBoot ?? []),
    }),
    alarm('Quarantined', `${names.prefix}-fleet-${workerQuarantined.type}`, {
      description:
        'Nobody could prove that nothing of a run is left on a machine, so it was taken out and is replaced. The event says why (docs/runbook.md#a-worker-is-quarantined).',
      metric: quarantined(others ?? []),
    }),
    ...fleets.map(({ fleet: { name, machines }, groupName }) =>
      alarm(`Small-${name}`, `${groupName}-small`, {
        description: `Fewer than ${machines} machines of the fleet ${name} have been in service for ${SMALL_LOOKS * LOOK_MIN} minutes: launches fail, or boots do. The activities of the group ${groupName} say which (docs/runbook.md#a-fleet-is-too-small).`,
        metric: new Metric({
          namespace: 'AWS/AutoScaling',
          metricName: 'GroupInServiceInstances',
          dimensionsMap: { AutoScalingGroupName: groupName },
          period,
          statistic: Stats.MAXIMUM,
        }),
        below: machines,
        looks: SMALL_LOOKS,
      }),
    ),
  ];
  for (const one of alarms) one.addAlarmAction(...alarmActions);

  /** What functions count themselves, of several rules; one that never said it has no figure. */
  function quarantined(of: readonly Rule[]): IMetric {
    const ofRule = ({ name }: Rule) =>
      new Metric({
        namespace: names.metrics,
        metricName: workerQuarantined.type,
        dimensionsMap: { rule: name },
        period,
        statistic: Stats.SUM,
      });
    return new MathExpression({
      expression: 'SUM(METRICS())',
      label: workerQuarantined.type,
      usingMetrics: Object.fromEntries(of.map((rule, place) => [`m${place}`, ofRule(rule)])),
      period,
    });
  }

  function alarm(
    id: string,
    alarmName: string,
    seen: { description: string; metric: IMetric; below?: number; looks?: number },
  ): Alarm {
    return new Alarm(scope, `${id}Alarm`, {
      alarmName,
      alarmDescription: seen.description,
      metric: seen.metric,
      threshold: seen.below ?? 1,
      evaluationPeriods: seen.looks ?? 1,
      comparisonOperator:
        seen.below === undefined
          ? ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
          : ComparisonOperator.LESS_THAN_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
  }
}

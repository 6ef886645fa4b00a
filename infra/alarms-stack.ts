import { Stack, type StackProps } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import type { Rule } from '../rules/rule.ts';
import { alarmActions } from './alarm-actions.ts';
import { deployedRules } from './deployed-rules.ts';
import type { Names } from './names.ts';
import { reactionAlarms } from './reaction-alarms.ts';
import type { Settings } from './settings.ts';

export interface AlarmsStackProps extends StackProps {
  readonly settings: Settings;
  readonly names: Names;
  readonly rules: readonly Rule[];
}

/**
 * The alarms of the reactions. A stack of their own, because CloudFormation takes 500 resources of one. It knows the others by their names
 * alone: what one stack exports to another cannot go while the other has it.
 */
export class AlarmsStack extends Stack {
  constructor(scope: Construct, id: string, { settings, names, rules, ...props }: AlarmsStackProps) {
    super(scope, id, props);
    const actions = alarmActions(this, settings, names);
    for (const rule of deployedRules(rules, settings)) {
      reactionAlarms(new Construct(this, rule.name), { rule, names, alarmActions: actions });
    }
  }
}

import { eventPatternOf } from '../../../rules/event-pattern.ts';
import type { Rule } from '../../../rules/rule.ts';
import type { Place } from './aws-service.ts';
import type { ListedRule } from './eventbridge.ts';

/** The bus that AWS services put their events on. */
export const DEFAULT_BUS = 'default';

/**
 * Rule values as EventBridge would list them: own events on the bus of the stage, native ones on the default bus. The alarm clock
 * needs no rule, for it reaches its queue directly.
 */
export function listedRules(rules: readonly Rule[], prefix: string, place: Place): ListedRule[] {
  return rules.flatMap((rule) => {
    const native = rule.on.filter((event) => 'native' in event);
    const own = rule.on.filter((event) => !('native' in event) && event.source !== 'baton.alarm');
    const name = `${prefix}-${rule.name}`;
    const targets = [{ id: rule.name, arn: targetArn(rule, name, place) }];
    return [
      { bus: prefix, on: own },
      { bus: DEFAULT_BUS, on: native },
    ]
      .filter(({ on }) => on.length > 0)
      .map(({ bus, on }) => {
        const pattern = eventPatternOf({ on, ...(rule.where ? { where: rule.where } : {}) });
        return { name, bus, description: rule.summary, pattern, targets };
      });
  });
}

function targetArn(rule: Rule, name: string, { account, region }: Place): string {
  return rule.delivery === 'queue'
    ? `arn:aws:sqs:${region}:${account}:${name}`
    : `arn:aws:lambda:${region}:${account}:function:${name}`;
}

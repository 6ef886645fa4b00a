import { NAMED_REQUEST, type Source } from '../events/define.ts';
import { type EventPattern, eventPatternOf, type Matcher } from '../rules/event-pattern.ts';
import type { Rule } from '../rules/rule.ts';
import { whyInvalid } from '../runtime/pattern-validity.ts';

/** What narrows the events of an AWS service to this deployment's own, by service; none where the back end is not deployed. */
export interface NativeScope {
  readonly 'aws.ecs'?: EventPattern;
  readonly 'aws.ssm'?: EventPattern;
  readonly 'aws.autoscaling'?: EventPattern;
  /** Empty: events of EC2 name a machine and nothing else, so those of the whole account are heard. Who is no worker is left alone. */
  readonly 'aws.ec2'?: EventPattern;
}

export interface RulePattern {
  readonly source: readonly Matcher[];
  readonly 'detail-type': readonly string[];
  readonly detail?: EventPattern;
}

/**
 * The scope of ECS events: one cluster, and what this stage started. The whole account's tasks arrive on the default bus, those of other
 * stages too, and their tasks may have the same ids.
 */
export const ecsScope = (clusterArn: string, stage: string): EventPattern => ({
  clusterArn: [clusterArn],
  startedBy: [{ prefix: `baton/${stage}/` }],
});

/** The scopes of a deployment with fleets: commands with the stage's one document, and groups of its fleets. */
export const fleetScopes = (documentName: string, groupNames: readonly string[]): NativeScope => ({
  'aws.ssm': { 'document-name': [documentName] },
  'aws.autoscaling': { AutoScalingGroupName: groupNames },
  'aws.ec2': {},
});

/** Whether the rule listens to AWS services: those are heard on the default bus only, our own events on ours only. Throws for a mixture. */
export function hearsNative({ name, on }: Rule): boolean {
  const native = on.filter((event) => 'native' in event);
  if (native.length > 0 && native.length < on.length) {
    throw new Error(`The rule ${name} listens to events of two buses: make it two rules.`);
  }
  return native.length > 0;
}

/** The pattern of a rule in this deployment. Throws when EventBridge would refuse it, which no check of a template sees. */
export function scopedPattern(rule: Rule, scopes: NativeScope): RulePattern {
  const { source, ...rest } = eventPatternOf(rule);
  const pattern = { ...rest, ...detailOf(rule, scopes), source: withRequesters(source) };
  const wrong = whyInvalid(pattern);
  if (wrong !== undefined) throw new Error(`EventBridge would refuse the pattern of the rule ${rule.name}: ${wrong}.`);
  return pattern;
}

/** Who may ask in one name only asks under a source of its own; the bus policy says who. */
const withRequesters = (sources: readonly string[]): readonly Matcher[] => [
  ...sources,
  ...(sources.includes('baton.request' satisfies Source) ? [{ prefix: NAMED_REQUEST }] : []),
];

function detailOf(rule: Rule, scopes: NativeScope): { detail?: EventPattern } {
  if (!hearsNative(rule)) return rule.where ? { detail: rule.where } : {};
  const narrowing = rule.on.map(({ source }) => scopes[source as keyof NativeScope]);
  if (narrowing.some((scope) => !scope)) {
    throw new Error(`The rule ${rule.name} listens to a service of which nothing is deployed.`);
  }
  const detail = Object.assign({}, rule.where, ...narrowing) as EventPattern;
  return Object.keys(detail).length > 0 ? { detail } : {};
}

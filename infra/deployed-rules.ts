import type { Rule } from '../rules/rule.ts';
import type { Compute } from '../schemas/compute.ts';

/** What of a rule names a back end: ports that it `uses`, and AWS services that it listens to, if they tell anything. */
interface Marks {
  readonly ports: readonly string[];
  readonly sources?: readonly string[];
}

const BACK_ENDS: { readonly [Name in Compute]: Marks } = {
  agentcore: { ports: ['agentcore'] },
  ecs: { ports: ['ecs'], sources: ['aws.ecs'] },
  ec2: { ports: ['ec2', 'workers', 'machines'], sources: ['aws.ssm', 'aws.ec2', 'aws.autoscaling'] },
};

/** What decides which rules are deployed. */
interface Deployed {
  readonly computes: readonly Compute[];
  readonly screening: 'off' | 'required';
}

/** The rules that this deployment has: all but those of back ends, or of a guardrail, that it does not have. */
export const deployedRules = (rules: readonly Rule[], { computes, screening }: Deployed): readonly Rule[] =>
  rules
    .filter((rule) => backEndsOf(rule).every((name) => computes.includes(name)))
    .filter(({ uses }) => screening === 'required' || !uses.includes('screening'));

const backEndsOf = ({ uses, on }: Rule): Compute[] =>
  (Object.keys(BACK_ENDS) as Compute[]).filter((name) => {
    const { ports, sources = [] } = BACK_ENDS[name];
    return uses.some((port) => ports.includes(port)) || on.some(({ source }) => sources.includes(source));
  });

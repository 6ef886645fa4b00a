import type { Rule } from '../rules/rule.ts';
import type { Compute } from '../schemas/compute.ts';

/** Back end → what of a rule names it: the port that it `uses`, the AWS service that it listens to, if it tells anything. */
const BACK_ENDS: { readonly [Name in Compute]: { readonly port: string; readonly source?: string } } = {
  agentcore: { port: 'agentcore' },
  ecs: { port: 'ecs', source: 'aws.ecs' },
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
  (Object.keys(BACK_ENDS) as Compute[]).filter(
    (name) => uses.includes(BACK_ENDS[name].port) || on.some(({ source }) => source === BACK_ENDS[name].source),
  );

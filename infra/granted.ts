import { Stack, Validations } from 'aws-cdk-lib';
import { Effect, type IRole, type ManagedPolicy, type Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import type { IConstruct } from 'constructs';
import type { Grant } from './port-grants.ts';

/** The grants as statements, in their order. */
const statementsOf = (grants: readonly Grant[]): PolicyStatement[] =>
  grants.map(
    ({ effect, actions, resources, conditions }) =>
      new PolicyStatement({
        effect: effect === 'Deny' ? Effect.DENY : Effect.ALLOW,
        actions: [...actions],
        resources: [...resources],
        ...(conditions ? { conditions: structuredClone(conditions) } : {}),
      }),
  );

/** Lets a role do what the grants say, and acknowledges each wildcard with its reason and the exact actions. */
export function allow(to: IRole & IConstruct, grants: readonly Grant[]): void {
  for (const statement of statementsOf(grants)) to.addToPrincipalPolicy(statement);
  acknowledgeWildcards(to, grants);
}

/** The same for a policy that stands by itself: one that people attach, or one that must not be there before something else is. */
export function include(into: ManagedPolicy | Policy, grants: readonly Grant[]): void {
  into.addStatements(...statementsOf(grants));
  acknowledgeWildcards(into, grants);
}

function acknowledgeWildcards(scope: IConstruct, grants: readonly Grant[]): void {
  const told = new Map<string, string[]>();
  for (const { reason, actions, resources } of grants) {
    for (const resource of resources) {
      const flat = flattenCfnReference(Stack.of(scope).resolve(resource));
      if (flat.includes('*')) told.set(flat, [...(told.get(flat) ?? []), `${actions.join(', ')}: ${reason}`]);
    }
  }
  for (const [resource, reasons] of told) {
    Validations.of(scope).acknowledge({ id: `AwsSolutions-IAM5[Resource::${resource}]`, reason: reasons.join(' ') });
  }
}

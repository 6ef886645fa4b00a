import type { RunTaskCommandInput } from '@aws-sdk/client-ecs';
import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import type { StartEcsRun } from '../ports.ts';

/** `overrides` with its JSON punctuation, in characters (Amazon ECS API reference, RunTask). */
export const OVERRIDES_MAX_CHARS = 8_192;

/** Where runs are started. */
export interface StartPlace {
  /** ARN of the cluster. */
  readonly cluster: string;
  readonly subnets: readonly string[];
  readonly securityGroups: readonly string[];
  /** For subnets without a way out of their own. */
  readonly assignPublicIp?: boolean;
}

export type Overrides = ReturnType<typeof overridesOf>;

/**
 * What RunTask is asked for. The same bytes at every try of one attempt, as one client token demands: all lists are in order, and
 * nothing is of the moment.
 */
export const runTaskInput = (run: StartEcsRun, overrides: Overrides, place: StartPlace): RunTaskCommandInput => ({
  cluster: place.cluster,
  taskDefinition: run.definition,
  count: 1,
  clientToken: run.clientToken,
  startedBy: run.startedBy,
  ...capacityOf(run),
  networkConfiguration: {
    awsvpcConfiguration: {
      subnets: [...place.subnets],
      securityGroups: [...place.securityGroups],
      assignPublicIp: place.assignPublicIp ? 'ENABLED' : 'DISABLED',
    },
  },
  overrides,
  // Whose the run is stands on its definition.
  propagateTags: 'TASK_DEFINITION',
  tags: sorted(run.tags).map(([key, value]) => ({ key, value })),
});

/** Spot is had through its capacity provider alone, beside which no launch type may stand (Amazon ECS API reference, RunTask). */
function capacityOf({ capacityProvider }: StartEcsRun) {
  switch (capacityProvider) {
    case 'FARGATE':
      return { launchType: 'FARGATE' as const };
    case 'FARGATE_SPOT':
      return { capacityProviderStrategy: [{ capacityProvider, weight: 1 }] };
  }
}

export function overridesOf({ environment, command }: Pick<StartEcsRun, 'environment' | 'command'>) {
  const variables = sorted(environment).map(([name, value]) => ({ name, value }));
  return { containerOverrides: [{ name: AGENT_CONTAINER, command: [...command], environment: variables }] };
}

/** By name, in the order of code units: it is the same on every machine. */
const sorted = (values: Readonly<Record<string, string>>): [string, string][] =>
  Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));

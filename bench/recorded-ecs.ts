import { BASE_MARKER } from '../lifecycle/user-definition.ts';
import { ecsTaskIdOf, handleOf, taskArnOf } from '../runtime/engine/local-ecs-task.ts';
import type { StartEcsRun } from '../runtime/ports.ts';
import type { Answer } from './recording-transport.ts';

/** ECS as a budget needs it: one base definition that infrastructure has written, and tasks that are started at once. */
export function recordedEcs({ family, stage }: { readonly family: string; readonly stage: string }) {
  const base = `arn:aws:ecs:us-east-1:000000000000:task-definition/${family}:1`;
  const started: StartEcsRun[] = [];
  return {
    /** Starts that were asked for, in order. */
    started,
    services: {
      'ecs DescribeTaskDefinition': () => ({
        json: {
          taskDefinition: { taskDefinitionArn: base, family, status: 'ACTIVE', containerDefinitions: [] },
          tags: [{ key: BASE_MARKER, value: stage }],
        },
      }),
      'ecs RunTask': runTask,
    } satisfies Readonly<Record<string, (input: Record<string, unknown>) => Answer>>,
  };

  function runTask(input: Record<string, unknown>): Answer {
    const asked = input as Pick<StartEcsRun, 'clientToken' | 'startedBy'> & {
      readonly taskDefinition: string;
      readonly overrides: {
        readonly containerOverrides: { command: string[]; environment: { name: string; value: string }[] }[];
      };
      readonly tags: { key: string; value: string }[];
    };
    const { clientToken, startedBy, taskDefinition: definition } = asked;
    const [container] = asked.overrides.containerOverrides;
    const [, , taskId = '', attempt = ''] = startedBy.split('/');
    started.push({
      taskId,
      attempt: Number(attempt),
      startedBy,
      clientToken,
      command: container?.command ?? [],
      environment: Object.fromEntries((container?.environment ?? []).map(({ name, value }) => [name, value])),
      definition,
      capacityProvider: 'FARGATE',
      tags: Object.fromEntries(asked.tags.map(({ key, value }) => [key, value])),
    });
    const { clusterArn } = handleOf('');
    const task = { taskArn: taskArnOf(ecsTaskIdOf(clientToken)), clusterArn, taskDefinitionArn: definition };
    return { json: { tasks: [{ ...task, lastStatus: 'PROVISIONING' }], failures: [] } };
  }
}

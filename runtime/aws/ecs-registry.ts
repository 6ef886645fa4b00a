import {
  DeregisterTaskDefinitionCommand,
  DescribeTaskDefinitionCommand,
  type DescribeTaskDefinitionCommandOutput,
  type ECSClient,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
} from '@aws-sdk/client-ecs';
import type { Described } from '../../lifecycle/user-definition.ts';
import type { Registry } from '../definitions.ts';
import { ComputeError } from '../errors.ts';
import { computeError, sdkError } from './sdk-errors.ts';

/**
 * All clones are of one family, and ECS numbers its revisions one after the other: who comes in between gets a ClientException that passes
 * ("Too many concurrent attempts to create a new revision of the specified family", as users of several tools report it).
 */
const COLLIDED = /too many concurrent/i;

/** How ECS says that a family has no active revision, or that a revision is gone: both are a ClientException with a sentence. */
const GONE = /unable to describe task definition|does not exist|not found|INACTIVE/i;

/** The task definitions of Amazon ECS. Registering is limited to one a second beyond a burst; that is `compute_throttled`. */
export function ecsRegistry(client: ECSClient): Registry {
  return {
    // By its bare name: the newest active revision.
    newest: (family) => described(family),

    async active(arn) {
      const known = await described(arn);
      return known?.definition['status'] === 'ACTIVE' ? known : undefined;
    },

    async register({ definition, tags }) {
      const input = {
        ...definition,
        tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
        // What was described is what is registered; only the fields that cannot be are left out.
      } as unknown as RegisterTaskDefinitionCommandInput;
      try {
        const { taskDefinition } = await client.send(new RegisterTaskDefinitionCommand(input));
        if (taskDefinition?.taskDefinitionArn) return taskDefinition.taskDefinitionArn;
      } catch (error) {
        const call = 'ECS RegisterTaskDefinition';
        throw COLLIDED.test(sdkError(error).message)
          ? computeError(call, error, 'throttled')
          : computeError(call, error);
      }
      throw new ComputeError('compute_unavailable', 'ECS RegisterTaskDefinition: the answer has no ARN');
    },

    async deregister(arn) {
      try {
        await client.send(new DeregisterTaskDefinitionCommand({ taskDefinition: arn }));
      } catch (error) {
        if (!isGone(error)) throw computeError('ECS DeregisterTaskDefinition', error);
      }
    },
  };

  /** Undefined where ECS knows no such definition, or none that is active. */
  async function described(taskDefinition: string): Promise<Described | undefined> {
    let answer: DescribeTaskDefinitionCommandOutput;
    try {
      // Tags come only when asked for.
      answer = await client.send(new DescribeTaskDefinitionCommand({ taskDefinition, include: ['TAGS'] }));
    } catch (error) {
      if (isGone(error)) return undefined;
      throw computeError('ECS DescribeTaskDefinition', error);
    }
    const { taskDefinition: definition, tags = [] } = answer;
    const { taskDefinitionArn: arn, family } = definition ?? {};
    if (!definition || arn === undefined || family === undefined) {
      throw new ComputeError(
        'compute_unavailable',
        `ECS DescribeTaskDefinition: ${taskDefinition}: the answer has no ARN`,
      );
    }
    return {
      arn,
      family,
      tags: Object.fromEntries(tags.map(({ key = '', value = '' }) => [key, value])),
      definition: { ...definition },
    };
  }
}

function isGone(error: unknown): boolean {
  const { name, message } = sdkError(error);
  return (name === 'ClientException' || name === 'InvalidParameterException') && GONE.test(message);
}

import * as z from 'zod';
import type { LocalRegistry, LocalRevision } from '../../engine/local-registry.ts';
import { CONCURRENT } from '../../engine/local-registry.ts';
import { BatonError } from '../../errors.ts';
import { refused } from './aws-error.ts';
import { type Operation, pageOf, parsedInput } from './aws-service.ts';

/** Names of families (Amazon ECS API reference, RegisterTaskDefinition). */
export const FAMILY = /^[A-Za-z0-9_-]{1,255}$/;
/** Tags of a task definition, and of a task (Amazon ECS API reference, RegisterTaskDefinition and RunTask). */
const TAGS_MAX = 50;

const text = z.string();
/** A tag of a task or of a task definition. */
const tag = z.object({
  key: text
    .min(1)
    .max(128)
    .regex(/^(?!aws:)/i, 'aws: is reserved.'),
  value: text.max(256).default(''),
});
export const tags = z.array(tag).max(TAGS_MAX);
const container = z.looseObject({ name: text.min(1), image: text.optional() });

/**
 * Members of the input of RegisterTaskDefinition (API model of ECS, botocore 1.43). Strict, so that a field which only a description has
 * is refused, as AWS's own validation does.
 */
const registerTaskDefinition = z.strictObject({
  family: text.regex(FAMILY, 'Family contains invalid characters.'),
  containerDefinitions: z.array(container).min(1, 'Container list cannot be empty.'),
  tags: tags.optional(),
  taskRoleArn: text.optional(),
  executionRoleArn: text.optional(),
  networkMode: text.optional(),
  volumes: z.array(z.looseObject({ name: text.optional() })).optional(),
  placementConstraints: z.array(z.unknown()).optional(),
  requiresCompatibilities: z.array(text).optional(),
  cpu: text.optional(),
  memory: text.optional(),
  pidMode: text.optional(),
  ipcMode: text.optional(),
  proxyConfiguration: z.unknown().optional(),
  inferenceAccelerators: z.array(z.unknown()).optional(),
  ephemeralStorage: z.unknown().optional(),
  runtimePlatform: z.unknown().optional(),
  enableFaultInjection: z.boolean().optional(),
});
const describeTaskDefinition = z.looseObject({ taskDefinition: text.min(1), include: z.array(text).default([]) });
const deregisterTaskDefinition = z.looseObject({ taskDefinition: text.min(1) });
const listTaskDefinitions = z.looseObject({
  /** In spite of its name a whole one (Amazon ECS API reference, ListTaskDefinitions). */
  familyPrefix: text.optional(),
  status: z.enum(['ACTIVE', 'INACTIVE', 'DELETE_IN_PROGRESS']).default('ACTIVE'),
  sort: z.enum(['ASC', 'DESC']).default('ASC'),
  maxResults: z.int().min(1).max(100).default(100),
  nextToken: text.optional(),
});

/** The operations of ECS on task definitions, over those of the embedded ECS. */
export function definitionOperations(registry: LocalRegistry): Readonly<Record<string, Operation>> {
  return {
    async RegisterTaskDefinition(given) {
      const { tags = [], ...definition } = parsedInput(registerTaskDefinition, given, 'ClientException');
      assertMounts(definition);
      const { family } = definition;
      const arn = await atItsRate(() => registry.register({ family, definition, tags: recordOf(tags) }));
      return { taskDefinition: described(await found(arn)), tags };
    },
    async DescribeTaskDefinition(given) {
      const { taskDefinition, include } = parsedInput(describeTaskDefinition, given, 'ClientException');
      const known = await found(taskDefinition);
      return { taskDefinition: described(known), ...(include.includes('TAGS') ? { tags: listOf(known.tags) } : {}) };
    },
    async DeregisterTaskDefinition(given) {
      const { taskDefinition } = parsedInput(deregisterTaskDefinition, given, 'ClientException');
      const { arn } = await found(taskDefinition, 'revision is missing');
      await atItsRate(() => registry.deregister(arn));
      return { taskDefinition: described(await found(arn)) };
    },
    async ListTaskDefinitions(given) {
      const { familyPrefix, status, sort, maxResults, nextToken } = parsedInput(
        listTaskDefinitions,
        given,
        'ClientException',
      );
      const family = familyPrefix === undefined ? {} : { family: familyPrefix };
      const all = status === 'DELETE_IN_PROGRESS' ? [] : await registry.list({ ...family, status });
      const arns = all.map(({ arn }) => arn);
      const { page, next } = pageOf(sort === 'ASC' ? arns : arns.reverse(), maxResults, nextToken);
      return { taskDefinitionArns: page, ...(next.NextToken === undefined ? {} : { nextToken: next.NextToken }) };
    },
  };

  async function atItsRate<Answer>(change: () => Promise<Answer>): Promise<Answer> {
    try {
      return await change();
    } catch (error) {
      if (error instanceof BatonError && error.code === 'compute_throttled') {
        if (error.message.includes(CONCURRENT)) throw refused('ClientException', CONCURRENT);
        throw refused('ThrottlingException', 'Rate exceeded');
      }
      throw error;
    }
  }

  /** By a bare family: its newest active revision. By revision: also one that is not active any more. */
  async function found(name: string, missing?: string): Promise<LocalRevision> {
    const bare = FAMILY.test(name);
    if (bare && missing !== undefined) throw refused('ClientException', missing);
    const known = bare ? await registry.newest(name) : await registry.revision(name);
    if (known) return known;
    throw refused('ClientException', 'Unable to describe task definition.');
  }
}

/** Tags as the API has them. */
export const listOf = (tags: Readonly<Record<string, string>>) =>
  Object.entries(tags).map(([key, value]) => ({ key, value }));

/** Tags as records have them. */
export const recordOf = (tags: readonly z.infer<typeof tag>[]): Readonly<Record<string, string>> =>
  Object.fromEntries(tags.map(({ key, value }) => [key, value]));

const described = ({ arn, revision, status, registeredAt, deregisteredAt, definition }: LocalRevision): object => ({
  ...definition,
  taskDefinitionArn: arn,
  revision,
  status,
  registeredAt: Date.parse(registeredAt) / 1_000,
  ...(deregisteredAt === undefined ? {} : { deregisteredAt: Date.parse(deregisteredAt) / 1_000 }),
  registeredBy: `${arn.replace(/:ecs:[^:]*:(\d*):.*/, ':iam::$1:root')}`,
  compatibilities: ['EC2', 'FARGATE'],
  requiresAttributes: [],
});

/** A container may only mount what the definition names as a volume. */
function assertMounts({
  containerDefinitions,
  volumes = [],
}: {
  readonly containerDefinitions: readonly z.infer<typeof container>[];
  readonly volumes?: readonly { readonly name?: string | undefined }[] | undefined;
}): void {
  const named = new Set(volumes.map(({ name }) => name));
  for (const { name, mountPoints } of containerDefinitions) {
    for (const { sourceVolume } of (mountPoints ?? []) as readonly { sourceVolume?: string }[]) {
      if (sourceVolume !== undefined && !named.has(sourceVolume)) {
        throw refused('ClientException', `Unknown volume '${sourceVolume}' in container '${name}'.`);
      }
    }
  }
}

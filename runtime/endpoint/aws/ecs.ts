import { createHash, randomUUID } from 'node:crypto';
import * as z from 'zod';
import type { EcsTaskStateChangeDetail } from '../../../events/aws/ecs-task-state-change.ts';
import { AGENT_CONTAINER, parseStartedBy } from '../../../lifecycle/ecs-task.ts';
import type { LocalEcs } from '../../engine/local-ecs.ts';
import type { LocalRun } from '../../engine/local-ecs-run.ts';
import type { LocalRegistry } from '../../engine/local-registry.ts';
import { refused } from './aws-error.ts';
import { type AwsService, type Place, pageOf, parsedInput } from './aws-service.ts';
import { definitionOperations, FAMILY, listOf, recordOf, tags } from './ecs-definitions.ts';
import { describedTask } from './ecs-task-shape.ts';
import { jsonProtocol } from './json-protocol.ts';

/** Tasks of one RunTask, and of one DescribeTasks (ECS API reference). */
const COUNT_MAX = 10;
const DESCRIBED_MAX = 100;

/** The part of the embedded ECS that its API needs. */
export type EcsTasks = Pick<LocalEcs, 'startOnce' | 'taskArns' | 'describe' | 'tags' | 'stop'>;

export interface EcsParts {
  /** Where the tasks say that they are. */
  readonly place: Place;
  readonly tasks: EcsTasks;
  /** Names of the clusters that are known; all of them hold the same tasks. */
  readonly clusters: readonly string[];
  /** What can be run. */
  readonly registry: LocalRegistry;
}

const text = z.string();
/** What would change the run and cannot be honoured here is refused, not ignored. */
const containerOverride = z.strictObject({
  name: text,
  command: z.array(text).optional(),
  environment: z.array(z.strictObject({ name: text, value: text })).optional(),
});
const strategyItem = z.strictObject({
  capacityProvider: text,
  weight: z.int().min(0).max(1_000).default(1),
  base: z.int().min(0).max(100_000).optional(),
});
/** The capacity providers of every cluster here. */
const PROVIDERS = ['FARGATE', 'FARGATE_SPOT'] as const;
const runTask = z.looseObject({
  cluster: text.default('default'),
  taskDefinition: text,
  count: z.int().min(1).max(COUNT_MAX).default(1),
  clientToken: text.max(64).optional(),
  startedBy: text.optional(),
  launchType: text.optional(),
  capacityProviderStrategy: z.array(strategyItem).optional(),
  propagateTags: z.enum(['TASK_DEFINITION', 'NONE']).default('NONE'),
  networkConfiguration: z
    .looseObject({ awsvpcConfiguration: z.looseObject({ subnets: z.array(text).min(1) }) })
    .optional(),
  overrides: z.strictObject({ containerOverrides: z.array(containerOverride).optional() }).optional(),
  tags: tags.default([]),
});
type RunTask = z.infer<typeof runTask>;

const describeTasks = z.looseObject({
  cluster: text.default('default'),
  tasks: z.array(text).min(1).max(DESCRIBED_MAX),
  include: z.array(text).default([]),
});
const stopTask = z.looseObject({ cluster: text.default('default'), task: text, reason: text.optional() });
const listTasks = z.looseObject({
  cluster: text.default('default'),
  startedBy: text.optional(),
  family: text.optional(),
  desiredStatus: z.enum(['RUNNING', 'PENDING', 'STOPPED']).default('RUNNING'),
  maxResults: z.int().min(1).max(100).default(100),
  nextToken: text.optional(),
});

/** ECS over processes of this machine. Images, roles, sizes and networks are those of the machine. */
export function ecsService({ place, tasks, clusters, registry }: EcsParts): AwsService {
  return {
    signingName: 'ecs',
    targetPrefix: 'AmazonEC2ContainerServiceV20141113',
    protocol: jsonProtocol('1.1'),
    operations: {
      ...definitionOperations(registry),
      async RunTask(given) {
        const input = parsedInput(runTask, given, 'InvalidParameterException');
        assertCluster(input.cluster);
        assertNetwork(input);
        const definition = await resolved(input.taskDefinition);
        const arns: string[] = [];
        const failures: { reason: string }[] = [];
        for (const run of runsOf(input, definition)) {
          const told = await started(run);
          if (typeof told === 'string') arns.push(told);
          else failures.push(told);
        }
        // The answer has the tags, asked for or not.
        return { tasks: await shown(arns, true), failures };
      },
      async DescribeTasks(given) {
        const input = parsedInput(describeTasks, given, 'InvalidParameterException');
        const cluster = assertCluster(input.cluster);
        const asked = input.tasks.map((task) => arnOf(cluster, task));
        const found = (await shown(asked, input.include.includes('TAGS'))) as { taskArn: string }[];
        const there = new Set(found.map(({ taskArn }) => taskArn));
        return {
          tasks: found,
          failures: asked.filter((arn) => !there.has(arn)).map((arn) => ({ arn, reason: 'MISSING' })),
        };
      },
      async ListTasks(given) {
        const input = parsedInput(listTasks, given, 'InvalidParameterException');
        assertCluster(input.cluster);
        const details = await Promise.all(tasks.taskArns(input.startedBy).map((arn) => tasks.describe(arn)));
        const arns = details.flatMap((detail) => (detail && isListed(detail, input) ? [detail.taskArn] : []));
        const { page, next } = pageOf(arns, input.maxResults, input.nextToken);
        return { taskArns: page, ...(next.NextToken === undefined ? {} : { nextToken: next.NextToken }) };
      },
      async StopTask(given) {
        const { cluster, task, reason } = parsedInput(stopTask, given, 'InvalidParameterException');
        const taskArn = arnOf(assertCluster(cluster), task);
        const known = await tasks.describe(taskArn);
        if (!known) throw refused('InvalidParameterException', 'The referenced task was not found.');
        const { clusterArn, taskDefinitionArn } = known;
        const handle = { backend: 'ecs', taskArn, clusterArn, taskDefinitionArn, region: place.region } as const;
        const stoppedReason = reason ?? 'Task stopped by user';
        const told = await tasks.stop(handle, stoppedReason);
        // ECS answers with what is wanted before anything has ended, however fast it ends.
        const wanted = { ...known, desiredStatus: 'STOPPED', stopCode: 'UserInitiated', stoppedReason };
        return { task: told === 'stopping' ? describedTask(wanted) : (await shown([taskArn]))[0] };
      },
    },
  };

  /** The ARN of the task, or why there is none just now. */
  async function started(run: LocalRun): Promise<string | { reason: string }> {
    const told = await tasks.startOnce(run);
    switch (told.outcome) {
      case 'started':
        if (told.handle.backend === 'ecs') return told.handle.taskArn;
        throw new Error(`a task of ECS has a handle of ${told.handle.backend}`);
      case 'refused':
        if (told.reason.code === 'no_capacity') return { reason: told.reason.message };
        if (told.reason.code === 'start_throttled') throw refused('ThrottlingException', told.reason.message);
        throw refusedAs(told.reason.message);
      case 'conflict':
        throw refused('ConflictException', 'The client token was already used with different request parameters.', {
          resourceIds: [told.taskArn],
        });
    }
  }

  async function shown(arns: readonly string[], withTags = false): Promise<object[]> {
    const found = await Promise.all(
      arns.map(async (arn) => {
        const detail = await tasks.describe(arn);
        return detail && { ...describedTask(detail), ...(withTags ? { tags: listOf(await tasks.tags(arn)) } : {}) };
      }),
    );
    return found.filter((task) => task !== undefined);
  }

  function assertCluster(nameOrArn: string): string {
    const name = nameOrArn.replace(/^arn:[^:]*:ecs:[^:]*:[^:]*:cluster\//, '');
    if (clusters.includes(name)) return name;
    throw refused('ClusterNotFoundException', 'Cluster not found.');
  }

  /** The ARN of what is to be run: of a bare family the newest active revision. */
  async function resolved(name: string): Promise<string> {
    const known = FAMILY.test(name) ? await registry.newest(name) : await registry.revision(name);
    if (known) return known.arn;
    throw refused('ClientException', 'TaskDefinition not found.');
  }

  /** Tasks are named by ARN, or by id within a cluster. */
  function arnOf(cluster: string, task: string): string {
    return task.startsWith('arn:') ? task : `arn:aws:ecs:${place.region}:${place.account}:task/${cluster}/${task}`;
  }
}

function assertNetwork({ launchType, networkConfiguration }: RunTask): void {
  if (launchType !== 'FARGATE' || networkConfiguration !== undefined) return;
  throw refused(
    'InvalidParameterException',
    "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
  );
}

/** What the embedded ECS is to start, one run for each that was asked for. A run of nobody's task has none. */
function runsOf(input: RunTask, definition: string): LocalRun[] {
  const { count, clientToken = randomUUID(), startedBy, overrides, propagateTags, tags } = input;
  if (startedBy === undefined) {
    throw refused('InvalidParameterException', 'startedBy must not be empty here: it tells whose run it is.');
  }
  const { command = [], environment = [] } = agentOverride(overrides);
  const capacityProvider = providerOf(input);
  const whose = parseStartedBy(startedBy) ?? { taskId: '', attempt: 0 };
  return Array.from({ length: count }, (_one, index) => ({
    taskId: whose.taskId,
    attempt: whose.attempt,
    startedBy,
    clientToken: index === 0 ? clientToken : createHash('sha256').update(`${clientToken}#${index}`).digest('hex'),
    environment: Object.fromEntries(environment.map(({ name, value }) => [name, value])),
    command,
    definition,
    ...(FAMILY.test(input.taskDefinition) ? { family: input.taskDefinition } : {}),
    capacityProvider,
    tags: recordOf(tags),
    ...(propagateTags === 'NONE' ? { propagateTags } : {}),
  }));
}

/** Of a strategy, one item is honoured: how AWS spreads tasks over several is not told. */
function providerOf({ launchType, capacityProviderStrategy: strategy }: RunTask): (typeof PROVIDERS)[number] {
  if (strategy === undefined || strategy.length === 0) return 'FARGATE';
  const invalid = (told: string) => refused('InvalidParameterException', told);
  if (launchType !== undefined) {
    throw invalid(
      'Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.',
    );
  }
  const [item, ...more] = strategy;
  const providers = strategy.map(({ capacityProvider }) => PROVIDERS.find((one) => one === capacityProvider));
  if (providers.includes(undefined)) {
    throw invalid(
      'The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.',
    );
  }
  if (more.length > 0) throw invalid('A capacity provider strategy has one capacity provider here.');
  if (item?.weight === 0) throw invalid('A capacity provider strategy needs a capacity provider of a weight above 0.');
  return providers[0] ?? 'FARGATE';
}

/** What the embedded ECS answered: the name of an error of the API, and its sentence. */
function refusedAs(told: string): Error {
  const [, name = 'InvalidParameterException', sentence = told] = /^(\w+Exception): (.*)$/s.exec(told) ?? [];
  return refused(name, sentence);
}

function agentOverride(overrides: RunTask['overrides']): Partial<z.infer<typeof containerOverride>> {
  const all = overrides?.containerOverrides ?? [];
  const stray = all.find(({ name }) => name !== AGENT_CONTAINER);
  if (stray) {
    throw refused(
      'InvalidParameterException',
      `Override for container named ${stray.name} is not a container in the TaskDefinition.`,
    );
  }
  return all[0] ?? {};
}

function isListed(
  { desiredStatus, taskDefinitionArn }: EcsTaskStateChangeDetail,
  wanted: z.infer<typeof listTasks>,
): boolean {
  const isOfFamily = wanted.family === undefined || taskDefinitionArn.includes(`:task-definition/${wanted.family}:`);
  return desiredStatus === wanted.desiredStatus && isOfFamily;
}

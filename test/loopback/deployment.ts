import { join } from 'node:path';
import type { CreateTableCommandInput } from '@aws-sdk/client-dynamodb';
import * as z from 'zod';
import { type DeployedDocument, type DeployedFleet, fleetsIn } from './deployed-fleets.ts';
import { type Resource, readTemplates } from './template.ts';

/** What the synthesised templates deploy, in this world's own nouns. Everything in it was read from them; references are resolved. */
export interface Deployment {
  readonly functions: readonly DeployedFunction[];
  readonly rules: readonly DeployedRule[];
  readonly queues: readonly DeployedQueue[];
  readonly mappings: readonly DeployedMapping[];
  readonly tables: readonly CreateTableCommandInput[];
  readonly buckets: readonly string[];
  readonly buses: readonly DeployedBus[];
  readonly secrets: readonly string[];
  readonly scheduleGroups: readonly string[];
  readonly clusters: readonly { readonly name: string; readonly arn: string }[];
  readonly taskDefinitions: readonly DeployedTaskDefinition[];
  readonly runtimes: readonly DeployedRuntime[];
  readonly documents: readonly DeployedDocument[];
  readonly fleets: readonly DeployedFleet[];
}

export interface DeployedFunction {
  readonly name: string;
  readonly arn: string;
  /** Directory of its code. */
  readonly code: string;
  /** Where its processes keep what they compiled of its code, for the next ones. */
  readonly compiled?: string;
  /** `file.export`. */
  readonly handler: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
  /** Tries after the first, of an asynchronous invocation. */
  readonly retries: number;
  readonly maxEventAgeSeconds: number;
  /** ARN of the queue that takes what was given up. */
  readonly onFailure: string | undefined;
}

export interface DeployedRule {
  readonly name: string;
  readonly arn: string;
  readonly bus: string;
  readonly pattern: Readonly<Record<string, unknown>>;
  readonly targets: readonly { readonly arn: string; readonly deadLetters: string | undefined }[];
}

export interface DeployedQueue {
  readonly name: string;
  readonly arn: string;
  readonly url: string;
  readonly visibilitySeconds: number;
  readonly redrive: { readonly arn: string; readonly receives: number } | undefined;
}

export interface DeployedMapping {
  readonly queueArn: string;
  /** ARN or name. */
  readonly function: string;
  readonly batchSize: number;
  readonly reportsItemFailures: boolean;
  readonly concurrency: number;
}

export interface DeployedBus {
  readonly name: string;
  readonly arn: string;
}

export interface DeployedTaskDefinition {
  readonly family: string;
  readonly tags: Readonly<Record<string, string>>;
  /** As CloudFormation registers it: with the names that ECS has for its properties. */
  readonly definition: Readonly<Record<string, unknown>>;
}

/** A runtime of AgentCore. */
export interface DeployedRuntime {
  readonly arn: string;
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly idleSeconds: number | undefined;
  readonly maxLifetimeSeconds: number | undefined;
}

/** Lambda's and SQS's defaults where a template says nothing. */
const TIMEOUT_DEFAULT_S = 3;
const RETRIES_DEFAULT = 2;
const EVENT_AGE_DEFAULT_S = 6 * 3_600;
const VISIBILITY_DEFAULT_S = 30;
const BATCH_DEFAULT = 10;
/** Concurrent invocations of one mapping unless it is bounded: Lambda begins with five pollers. */
const MAPPING_CONCURRENCY_DEFAULT = 5;

/** Reads a cloud assembly. Throws when a template has something that this world would have to guess. */
export function readDeployment(assembly: string): Deployment {
  const resources = readTemplates(assembly);
  const of = <Shape extends z.ZodType>(type: string, shape: Shape) =>
    resources
      .filter((resource) => resource.type === type)
      .map((resource) => ({ ...resource, is: parsed(shape, resource) }));
  const invokeConfigs = of('AWS::Lambda::EventInvokeConfig', invokeConfig);
  return {
    functions: of('AWS::Lambda::Function', lambdaFunction)
      .filter(({ is }) => is.Code.S3Key !== undefined)
      .map(({ is, arn, ref }) => {
        const invoked = invokeConfigs.find((config) => [ref, arn].includes(config.is.FunctionName))?.is;
        return {
          name: ref,
          arn,
          code: join(assembly, `asset.${is.Code.S3Key?.replace(/\.zip$/, '')}`),
          // Beside the assemblies: others have the same code.
          compiled: join(assembly, '..', `loopback-compiled-${is.Code.S3Key?.replace(/\.zip$/, '')}`),
          handler: is.Handler,
          environment: is.Environment?.Variables ?? {},
          timeoutSeconds: is.Timeout ?? TIMEOUT_DEFAULT_S,
          retries: invoked?.MaximumRetryAttempts ?? RETRIES_DEFAULT,
          maxEventAgeSeconds: invoked?.MaximumEventAgeInSeconds ?? EVENT_AGE_DEFAULT_S,
          onFailure: invoked?.DestinationConfig?.OnFailure?.Destination ?? is.DeadLetterConfig?.TargetArn,
        };
      }),
    rules: of('AWS::Events::Rule', eventRule).map(({ is, arn, ref }) => ({
      name: ref,
      arn,
      bus: is.EventBusName?.split('/').at(-1) ?? 'default',
      pattern: is.EventPattern,
      targets: is.Targets.map(({ Arn, DeadLetterConfig }) => ({ arn: Arn, deadLetters: DeadLetterConfig?.Arn })),
    })),
    queues: of('AWS::SQS::Queue', queue).map(({ is, arn, ref }) => ({
      name: ref.split('/').at(-1) ?? ref,
      arn,
      url: ref,
      visibilitySeconds: is.VisibilityTimeout ?? VISIBILITY_DEFAULT_S,
      redrive: is.RedrivePolicy && {
        arn: is.RedrivePolicy.deadLetterTargetArn,
        receives: is.RedrivePolicy.maxReceiveCount,
      },
    })),
    mappings: of('AWS::Lambda::EventSourceMapping', mapping).map(({ is }) => ({
      queueArn: is.EventSourceArn,
      function: is.FunctionName,
      batchSize: is.BatchSize ?? BATCH_DEFAULT,
      reportsItemFailures: is.FunctionResponseTypes?.includes('ReportBatchItemFailures') ?? false,
      concurrency: is.ScalingConfig?.MaximumConcurrency ?? MAPPING_CONCURRENCY_DEFAULT,
    })),
    tables: ['AWS::DynamoDB::Table', 'AWS::DynamoDB::GlobalTable'].flatMap((type) =>
      of(type, table).map(({ is, ref }) => ({
        TableName: ref,
        BillingMode: 'PAY_PER_REQUEST' as const,
        AttributeDefinitions: is.AttributeDefinitions,
        KeySchema: is.KeySchema,
        ...(is.GlobalSecondaryIndexes ? { GlobalSecondaryIndexes: is.GlobalSecondaryIndexes } : {}),
      })),
    ),
    buckets: of('AWS::S3::Bucket', anything).map(({ ref }) => ref),
    buses: of('AWS::Events::EventBus', anything).map(({ ref, arn }) => ({ name: ref, arn })),
    secrets: of('AWS::SecretsManager::Secret', anything).map(({ ref }) => ref),
    scheduleGroups: of('AWS::Scheduler::ScheduleGroup', anything).map(({ ref }) => ref),
    clusters: of('AWS::ECS::Cluster', anything).map(({ ref, arn }) => ({ name: ref, arn })),
    taskDefinitions: of('AWS::ECS::TaskDefinition', taskDefinition).map(({ is: { Tags, ...rest } }) => ({
      family: rest.Family,
      tags: Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value])),
      definition: inEcs(rest) as Record<string, unknown>,
    })),
    runtimes: of('AWS::BedrockAgentCore::Runtime', runtime).map(({ is, arn }) => ({
      arn,
      image: is.AgentRuntimeArtifact.ContainerConfiguration.ContainerUri,
      environment: is.EnvironmentVariables,
      idleSeconds: is.LifecycleConfiguration?.IdleRuntimeSessionTimeout,
      maxLifetimeSeconds: is.LifecycleConfiguration?.MaxLifetime,
    })),
    ...fleetsIn(of),
  };
}

const text = z.string();
const count = z.coerce.number().int();
const anything = z.looseObject({});
const lambdaFunction = z.looseObject({
  Code: z.looseObject({ S3Key: text.optional() }),
  Handler: text,
  Timeout: count.optional(),
  Environment: z.looseObject({ Variables: z.record(z.string(), text).optional() }).optional(),
  DeadLetterConfig: z.looseObject({ TargetArn: text }).optional(),
});
const invokeConfig = z.looseObject({
  FunctionName: text,
  MaximumRetryAttempts: count.optional(),
  MaximumEventAgeInSeconds: count.optional(),
  DestinationConfig: z.looseObject({ OnFailure: z.looseObject({ Destination: text }).optional() }).optional(),
});
const eventRule = z.looseObject({
  EventBusName: text.optional(),
  EventPattern: z.record(z.string(), z.unknown()),
  Targets: z.array(z.looseObject({ Arn: text, DeadLetterConfig: z.looseObject({ Arn: text }).optional() })),
});
const queue = z.looseObject({
  VisibilityTimeout: count.optional(),
  RedrivePolicy: z.looseObject({ deadLetterTargetArn: text, maxReceiveCount: count }).optional(),
});
const mapping = z.looseObject({
  EventSourceArn: text,
  FunctionName: text,
  BatchSize: count.optional(),
  FunctionResponseTypes: z.array(text).optional(),
  ScalingConfig: z.looseObject({ MaximumConcurrency: count.optional() }).optional(),
});
const keySchema = z.array(z.object({ AttributeName: text, KeyType: z.enum(['HASH', 'RANGE']) }));
const table = z.looseObject({
  AttributeDefinitions: z.array(z.object({ AttributeName: text, AttributeType: z.enum(['S', 'N', 'B']) })),
  KeySchema: keySchema,
  GlobalSecondaryIndexes: z
    .array(
      z.object({
        IndexName: text,
        KeySchema: keySchema,
        Projection: z.object({ ProjectionType: z.enum(['ALL', 'KEYS_ONLY', 'INCLUDE']) }),
      }),
    )
    .optional(),
});
const taskDefinition = z.looseObject({
  Family: text,
  Tags: z.array(z.object({ Key: text, Value: text })).default([]),
  ContainerDefinitions: z.array(z.looseObject({ Name: text, Image: text })),
  // Some of their names are written otherwise in ECS: whoever needs one here says how.
  Volumes: z.never().optional(),
});
const runtime = z.looseObject({
  AgentRuntimeArtifact: z.looseObject({ ContainerConfiguration: z.looseObject({ ContainerUri: text }) }),
  EnvironmentVariables: z.record(z.string(), text).default({}),
  LifecycleConfiguration: z
    .looseObject({ IdleRuntimeSessionTimeout: count.optional(), MaxLifetime: count.optional() })
    .optional(),
});

/** ECS names properties as CloudFormation does, beginning small. Options of a log driver have names of their own, which begin so already. */
function inEcs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inEcs);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [`${name.charAt(0).toLowerCase()}${name.slice(1)}`, inEcs(one)]),
  );
}

function parsed<Shape extends z.ZodType>(shape: Shape, { stack, id, type, properties }: Resource): z.output<Shape> {
  const read = shape.safeParse(properties);
  if (read.success) return read.data;
  throw new Error(`${stack}/${id} (${type}) is not as expected: ${z.prettifyError(read.error)}`);
}

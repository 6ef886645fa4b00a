import * as z from 'zod';
import { defineNativeEvent } from '../define.ts';

/** The detail-type and source under which ECS publishes it on the default bus. Delivered at least once, in any order. */
export const ECS_TASK_STATE_CHANGE = { source: 'aws.ecs', detailType: 'ECS Task State Change' } as const;

const container = z.looseObject({
  name: z.string(),
  containerArn: z.string().optional(),
  taskArn: z.string().optional(),
  lastStatus: z.string().optional(),
  /** Absent when the container never started or its host was lost; absent is not success. */
  exitCode: z.int().optional(),
  reason: z.string().optional(),
});

const containerOverride = z.looseObject({
  name: z.string().optional(),
  command: z.array(z.string()).optional(),
  environment: z.array(z.looseObject({ name: z.string(), value: z.string() })).optional(),
});

/**
 * `detail` of `ECS Task State Change`, the same shape as a task of `DescribeTasks`. Loose: unknown fields are kept, and statuses,
 * stop codes and launch types that are new to us are plain strings. Order by (`taskArn`, `version`), never by time. Stopped means
 * `lastStatus` STOPPED; a stop code alone does not (Spot warning).
 */
export const ecsTaskStateChangeDetail = z.looseObject({
  taskArn: z.string().min(1),
  clusterArn: z.string().min(1),
  taskDefinitionArn: z.string(),
  lastStatus: z.string().min(1),
  desiredStatus: z.string().min(1),
  version: z.number(),
  startedBy: z.string().optional(),
  group: z.string().optional(),
  launchType: z.string().optional(),
  stopCode: z.string().optional(),
  stoppedReason: z.string().optional(),
  cpu: z.string().optional(),
  memory: z.string().optional(),
  createdAt: z.string().optional(),
  startedAt: z.string().optional(),
  executionStoppedAt: z.string().optional(),
  stoppingAt: z.string().optional(),
  stoppedAt: z.string().optional(),
  updatedAt: z.string().optional(),
  containers: z.array(container).optional(),
  overrides: z.looseObject({ containerOverrides: z.array(containerOverride).optional() }).optional(),
});

export type EcsTaskStateChangeDetail = z.infer<typeof ecsTaskStateChangeDetail>;

export const ecsTaskStateChange = defineNativeEvent({
  type: ECS_TASK_STATE_CHANGE.detailType,
  source: ECS_TASK_STATE_CHANGE.source,
  summary: 'ECS says that a task, or a container in it, changed its state.',
  schema: ecsTaskStateChangeDetail,
});

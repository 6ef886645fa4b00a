import * as z from 'zod';
import { defineNativeEvent } from '../define.ts';

/** Whoever handles it answers the hook by `CompleteLifecycleAction` with its token; without an answer the hook's own time-out decides. */
const asgLifecycleDetail = z.looseObject({
  EC2InstanceId: z.string().min(1),
  AutoScalingGroupName: z.string().min(1),
  LifecycleHookName: z.string().min(1),
  LifecycleActionToken: z.string().min(1),
  LifecycleTransition: z.string().optional(),
  NotificationMetadata: z.unknown().optional(),
  Origin: z.string().optional(),
  Destination: z.string().optional(),
});

export const asgTerminateLifecycle = defineNativeEvent({
  type: 'EC2 Instance-terminate Lifecycle Action',
  source: 'aws.autoscaling',
  summary: 'An Auto Scaling group wants to take a machine away, and waits for an answer.',
  schema: asgLifecycleDetail,
});

export const asgLaunchLifecycle = defineNativeEvent({
  type: 'EC2 Instance-launch Lifecycle Action',
  source: 'aws.autoscaling',
  summary: 'An Auto Scaling group has made a machine, and waits for an answer.',
  schema: asgLifecycleDetail,
});

import * as z from 'zod';
import { defineNativeEvent } from '../define.ts';

/** `instance-action`: terminate, stop or hibernate, about two minutes later. */
export const ec2SpotWarningDetail = z.looseObject({
  'instance-id': z.string().min(1),
  'instance-action': z.string().min(1),
});

export const ec2SpotWarning = defineNativeEvent({
  type: 'EC2 Spot Instance Interruption Warning',
  source: 'aws.ec2',
  summary: 'EC2 will take a Spot machine back in about two minutes.',
  schema: ec2SpotWarningDetail,
});

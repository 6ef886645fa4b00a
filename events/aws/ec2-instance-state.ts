import * as z from 'zod';
import { defineNativeEvent } from '../define.ts';

/** `state`: pending, running, stopping, stopped, shutting-down or terminated; a new one means nothing. */
export const ec2InstanceStateDetail = z.looseObject({ 'instance-id': z.string().min(1), state: z.string().min(1) });

/** Of every instance of the account, with no tag to choose by. */
export const ec2InstanceState = defineNativeEvent({
  type: 'EC2 Instance State-change Notification',
  source: 'aws.ec2',
  summary: 'EC2 says that a machine changed its state.',
  schema: ec2InstanceStateDetail,
});

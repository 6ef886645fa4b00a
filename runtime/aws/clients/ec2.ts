import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import type { Ec2Place } from '../ec2-instances.ts';
import { clientConfig } from './client-config.ts';
import { once } from './once.ts';

/** What signs and carries the one question to EC2 (`ec2-instances.ts`). Of its own: a client keeps the first service that it signs for. */
export const ec2Carrier = once(() => new AutoScalingClient(clientConfig()));

/** The variables by which the SDK's own clients are sent elsewhere. */
export const ec2Place = (): Ec2Place => ({
  endpoint: process.env['AWS_ENDPOINT_URL_EC2'] ?? process.env['AWS_ENDPOINT_URL'],
});

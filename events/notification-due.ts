import * as z from 'zod';
import { channel } from '../schemas/subscriber.ts';
import { defineEvent } from './define.ts';

export const notificationDue = defineEvent({
  type: 'NotificationDue',
  summary: 'A subscriber is to be told how the task ended.',
  schema: z.object({
    channel,
    /** Place of the subscriber in the task, from 0. Its address may hold a secret, so it stays there. */
    subscriber: z.int().min(0),
    status: z.string(),
  }),
});

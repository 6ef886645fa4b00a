import * as z from 'zod';
import { TEXT_MAX_CHARS } from '../schemas/json.ts';
import { channel } from '../schemas/subscriber.ts';
import { defineEvent } from './define.ts';

export const notificationRefused = defineEvent({
  type: 'NotificationRefused',
  summary: 'A subscriber cannot be told how the task ended: its address is not taken, or it refuses what comes.',
  schema: z.object({
    channel,
    subscriber: z.int().min(0),
    /** What was answered; never the address, which may hold a secret. */
    message: z.string().max(TEXT_MAX_CHARS),
  }),
  edge: 'out',
});

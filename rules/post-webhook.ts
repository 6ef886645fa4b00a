import { notificationDue } from '../events/notification-due.ts';
import { notificationRefused } from '../events/notification-refused.ts';
import { defineRule } from './rule.ts';

/** Deliveries in the embedded world: with its waits the last comes six hours after the first. On AWS the queue tries for a day. */
const ATTEMPTS = 10;

export const postWebhook = defineRule({
  name: 'post-webhook',
  summary: 'Tells a webhook how the task ended.',
  on: [notificationDue],
  where: { data: { channel: ['webhook'] } },
  emits: [notificationRefused],
  uses: ['tasks', 'webhooks'],
  kind: 'effect',
  delivery: 'queue',
  once: true,
  attempts: ATTEMPTS,
});

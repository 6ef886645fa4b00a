import { createHmac } from 'node:crypto';
import { ATTEMPTS_MAX, PAUSES_MAX } from '../schemas/task-request.ts';
import type { Payloads, RecordStore } from './ports.ts';
import { payloadKey } from './records.ts';

/** Payloads of one task at the most: a prompt, its context, and two inputs for each attempt when a hydration was repeated. */
const PAYLOADS_MAX = 2 + 2 * (ATTEMPTS_MAX + PAUSES_MAX);

/** The payloads port over a record store. References are derived with the world's secret: nobody can guess one. */
export function payloadsOver({ store, secret }: { store: RecordStore; secret: () => string }): Payloads {
  return {
    async put(taskId, text) {
      const ref = payloadRef(secret(), taskId, text);
      await store.put(payloadKey(ref), text, 'any');
      return ref;
    },
    async get(ref) {
      const stored = await store.get(payloadKey(ref));
      return typeof stored?.value === 'string' ? stored.value : undefined;
    },
    delete: (ref) => store.delete(payloadKey(ref)),
    async forget(taskId) {
      for (const { key } of await store.list(payloadKey(`${taskId}.`), { limit: PAYLOADS_MAX }))
        await store.delete(key);
    },
  };
}

/** `<taskId>.<HMAC of task and text>`: the same text of the same task has the same reference, and nobody without the secret can guess it. */
export const payloadRef = (secret: string, taskId: string, text: string): string =>
  `${taskId}.${createHmac('sha256', secret).update(`${taskId}#`).update(text).digest('base64url')}`;

import { createHmac } from 'node:crypto';
import type { Payloads, RecordStore } from './ports.ts';
import { payloadKey } from './records.ts';

/** The payloads port over a record store. References are derived with the world's secret: nobody can guess one. */
export function payloadsOver({ store, secret }: { store: RecordStore; secret: string }): Payloads {
  return {
    async put(taskId, text) {
      const ref = createHmac('sha256', secret).update(`payload#${taskId}#`).update(text).digest('base64url');
      await store.put(payloadKey(ref), text, 'any');
      return ref;
    },
    async get(ref) {
      const stored = await store.get(payloadKey(ref));
      return typeof stored?.value === 'string' ? stored.value : undefined;
    },
    delete: (ref) => store.delete(payloadKey(ref)),
  };
}

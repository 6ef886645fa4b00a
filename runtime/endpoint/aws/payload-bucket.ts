import { payloadObjectKey } from '../../../schemas/record-keys.ts';
import type { RecordStore } from '../../ports.ts';
import { payloadKey } from '../../records.ts';
import { AwsError } from './aws-error.ts';
import type { Bucket } from './buckets.ts';

/** Keys of payloads in the bucket begin with this; the reference follows. */
const PREFIX = payloadObjectKey('');
/** What the records of payloads begin with. */
const RECORD_PREFIX = payloadKey('');

/** The payloads of a world as the bucket that they are on AWS. Texts only, for a record keeps nothing else. */
export function payloadBucket(name: string, store: RecordStore): Bucket {
  return {
    name,
    async put(key, body) {
      await store.put(recordKey(key), textOf(body), 'any');
      await store.durable();
    },
    async get(key) {
      if (!isPayload(key)) return undefined;
      const stored = await store.get(recordKey(key));
      return typeof stored?.value === 'string' ? { key, body: Buffer.from(stored.value) } : undefined;
    },
    async delete(key) {
      if (!isPayload(key)) return;
      await store.delete(recordKey(key));
      await store.durable();
    },
    async list(prefix, { after, limit }) {
      const begins = common(prefix, PREFIX);
      const isBehindAll = after !== undefined && after > PREFIX && !isPayload(after);
      if (begins === undefined || isBehindAll) return [];
      const from = after !== undefined && isPayload(after) ? recordKey(after) : undefined;
      const page = await store.list(recordKey(begins), { limit, ...(from === undefined ? {} : { after: from }) });
      return page.map(({ key, value }) => ({
        key: PREFIX + key.slice(RECORD_PREFIX.length),
        body: Buffer.from(String(value)),
      }));
    },
  };
}

const isPayload = (key: string): boolean => key.startsWith(PREFIX) && key.length > PREFIX.length;

/** The longer of two beginnings, if the other one begins it. */
function common(one: string, other: string): string | undefined {
  const [short, long] = one.length < other.length ? [one, other] : [other, one];
  return long.startsWith(short) ? long : undefined;
}

function recordKey(key: string): string {
  if (key.startsWith(PREFIX)) return payloadKey(key.slice(PREFIX.length));
  throw new AwsError('AccessDenied', 403, `Access Denied: only objects below ${PREFIX} are kept here.`);
}

function textOf(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new AwsError('InvalidRequest', 400, 'Only objects that are text in UTF-8 are kept here.');
  }
}

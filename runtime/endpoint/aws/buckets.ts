/** An object of a bucket. */
export interface StoredObject {
  readonly key: string;
  readonly body: Buffer;
  /** As `Date.toISOString` writes it; left out where nobody noted it. */
  readonly modifiedAt?: string;
}

/** One bucket. What is thrown as AwsError reaches the caller as it is. */
export interface Bucket {
  readonly name: string;
  put(key: string, body: Buffer): Promise<void>;
  get(key: string): Promise<StoredObject | undefined>;
  delete(key: string): Promise<void>;
  /** Objects whose key starts with `prefix`, by key, after `after` (exclusive). */
  list(prefix: string, options: { after?: string; limit: number }): Promise<readonly StoredObject[]>;
}

/** A bucket in the memory of this process. */
export function memoryBucket(name: string, now: () => string): Bucket {
  const objects = new Map<string, StoredObject>();
  return {
    name,
    async put(key, body) {
      objects.set(key, { key, body, modifiedAt: now() });
    },
    get: async (key) => objects.get(key),
    async delete(key) {
      objects.delete(key);
    },
    async list(prefix, { after = '', limit }) {
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
      return keys.slice(0, limit).flatMap((key) => objects.get(key) ?? []);
    },
  };
}

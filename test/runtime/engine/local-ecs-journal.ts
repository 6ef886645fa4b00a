import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { PutResult, RecordStore, StoredRecord } from '../../../runtime/ports.ts';

/** Operations reach the file this late unless somebody waits for them, so that `kill -9` loses some: a prefix stays. */
const WRITE_BEHIND_MS = 30;

/** A store over one journal file, as lossy under `kill -9` as the port allows. Takes up what an earlier process left. */
export function journalStore(file: string): RecordStore {
  const records = new Map<string, StoredRecord>();
  if (existsSync(file)) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (line === '') continue;
      const record: StoredRecord = JSON.parse(line);
      if (record.value === null) records.delete(record.key);
      else records.set(record.key, record);
    }
  }
  const descriptor = openSync(file, 'a');
  let waiting: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length === 0) return;
    writeSync(descriptor, waiting.join(''));
    waiting = [];
    fsyncSync(descriptor);
  };
  const write = (record: StoredRecord) => {
    waiting.push(`${JSON.stringify(record)}\n`);
    timer ??= setTimeout(flush, WRITE_BEHIND_MS);
  };

  return {
    get: async (key) => records.get(key),
    put: async (key, value, expected): Promise<PutResult> => {
      const current = records.get(key);
      const isExpected = expected === 'any' || (expected === 'absent' ? !current : current?.revision === expected);
      if (!isExpected) return { outcome: 'conflict', current };
      const record = { key, revision: (current?.revision ?? 0) + 1, value: structuredClone(value) };
      records.set(key, record);
      write(record);
      return { outcome: 'written', revision: record.revision };
    },
    delete: async (key) => {
      records.delete(key);
      write({ key, revision: 0, value: null });
    },
    list: async (prefix, { after, limit }) => {
      const keys = [...records.keys()].filter((key) => key.startsWith(prefix) && (after === undefined || key > after));
      return keys
        .sort()
        .slice(0, limit)
        .flatMap((key) => records.get(key) ?? []);
    },
    query: async () => [],
    durable: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      flush();
    },
    close: async () => {
      flush();
      closeSync(descriptor);
    },
  };
}

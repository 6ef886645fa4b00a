import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { openLibsqlStore } from '../../runtime/engine/libsql-store.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import { recordStoreContract, type StoreUnderTest } from './record-store.ts';
import { bundleStore } from './record-store-bundle.ts';

const bundle = bundleStore();
afterAll(() => bundle.remove());

recordStoreContract('memory', openMemory);
recordStoreContract('libsql', openLibsql);

async function openMemory(): Promise<StoreUnderTest> {
  let store = memoryStore({ recordLog: true, freezeValues: true });
  return {
    store,
    reopen: async () => {
      const { applied, durable } = store.snapshotLog();
      store = store.restartAfterLosing(applied - durable);
      return store;
    },
    remove: () => store.close(),
  };
}

async function openLibsql(): Promise<StoreUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-store-'));
  const open = () =>
    openLibsqlStore({ file: join(folder, 'baton.db'), workerUrl: bundle.workerUrl, freezeValues: true });
  let store = await open();
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await open();
      return store;
    },
    remove: async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** One operation; its answer must be the same from every store. */
type Step = (store: RecordStore) => Promise<unknown>;

const key = fc.constantFrom('A#1', 'A#2', 'A#\u{1F422}', 'A#\uFFFD', 'B#1', 'B#żółw');
const at = fc.constantFrom('2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z', '2026-01-03T00:00:00.000Z');
const by = fc.constantFrom('ada', 'bob');
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const index = optional(fc.record({ by, at, open: fc.boolean() }));
const expected = fc.constantFrom<('absent' | 'any' | number)[]>('absent', 'any', 1, 2, 3);
const limit = fc.integer({ min: 0, max: 7 });

const step: fc.Arbitrary<{ says: string; run: Step | 'reopen' }> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.tuple(key, fc.jsonValue({ maxDepth: 2 }), expected, index).map(([k, value, when, listed]) => ({
      says: `put ${k} ${when}`,
      run: async (store: RecordStore) => store.put(k, structuredClone(value), when, listed),
    })),
  },
  {
    weight: 3,
    arbitrary: key.map((k) => ({ says: `delete ${k}`, run: async (store: RecordStore) => store.delete(k) })),
  },
  { weight: 3, arbitrary: key.map((k) => ({ says: `get ${k}`, run: async (store: RecordStore) => store.get(k) })) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom('', 'A#', 'B#1'), optional(key), limit).map(([prefix, after, max]) => ({
      says: `list ${prefix} ${after} ${max}`,
      run: async (store: RecordStore) =>
        store.list(prefix, after === undefined ? { limit: max } : { after, limit: max }),
    })),
  },
  {
    weight: 3,
    arbitrary: fc
      .record({ by, open: fc.boolean(), before: fc.record({ at, key }), limit }, { requiredKeys: ['limit'] })
      .map((query) => ({
        says: `query ${JSON.stringify(query)}`,
        run: async (store: RecordStore) => store.query(query),
      })),
  },
  { weight: 2, arbitrary: fc.constant({ says: 'durable', run: async (store: RecordStore) => store.durable() }) },
  {
    weight: 2,
    arbitrary: fc.constant({ says: 'wait', run: async () => new Promise<void>((resolve) => setTimeout(resolve, 3)) }),
  },
  { weight: 1, arbitrary: fc.constant({ says: 'reopen', run: 'reopen' as const }) },
);

describe('any sequence of operations', () => {
  it('has the same answers in libsql and in memory, and leaves the same records', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
        const [memory, libsql] = [await openMemory(), await openLibsql()];
        const both = { memory: memory.store, libsql: libsql.store };
        try {
          for (const { run, says } of steps) {
            if (run === 'reopen') {
              await Promise.all([both.memory.durable(), both.libsql.durable()]);
              both.memory = await memory.reopen();
              both.libsql = await libsql.reopen();
            } else {
              expect({ says, answer: await run(both.libsql) }).toEqual({ says, answer: await run(both.memory) });
            }
          }
          expect(await both.libsql.list('', { limit: 100 })).toEqual(await both.memory.list('', { limit: 100 }));
          expect(await both.libsql.query({ limit: 100 })).toEqual(await both.memory.query({ limit: 100 }));
        } finally {
          await memory.remove();
          await libsql.remove();
        }
      }),
      { numRuns: 40 },
    );
  });
});

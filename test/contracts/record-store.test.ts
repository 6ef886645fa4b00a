import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { openLibsqlStore } from '../../runtime/engine/libsql-store.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import { dynamo, onEveryDynamo } from './dynamo-stores.ts';
import { embedded, recordStoreContract, type StoreUnderTest } from './record-store.ts';

recordStoreContract('memory', embedded, openMemory);
recordStoreContract('libsql', embedded, openLibsql);
onEveryDynamo((open) => recordStoreContract('the table', dynamo, open));

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
  const open = () => openLibsqlStore({ file: join(folder, 'baton.db'), freezeValues: true });
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

const step = (value: fc.Arbitrary<unknown>): fc.Arbitrary<{ says: string; run: Step | 'reopen' }> =>
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.tuple(key, value, expected, index).map(([k, json, when, listed]) => ({
        says: `put ${k} ${when}`,
        run: async (store: RecordStore) => store.put(k, structuredClone(json), when, listed),
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

/** Runs each sequence on two stores, reopened together, and compares all answers and what is left. */
async function expectSameAnswers(
  openOther: () => Promise<StoreUnderTest>,
  value: fc.Arbitrary<unknown>,
  numRuns: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step(value), { maxLength: 60, size: 'max' }), async (steps) => {
      const [memory, other] = [await openMemory(), await openOther()];
      const both = { memory: memory.store, other: other.store };
      try {
        for (const { run, says } of steps) {
          if (run === 'reopen') {
            await Promise.all([both.memory.durable(), both.other.durable()]);
            both.memory = await memory.reopen();
            both.other = await other.reopen();
          } else {
            expect({ says, answer: await run(both.other) }).toEqual({ says, answer: await run(both.memory) });
          }
        }
        expect(await both.other.list('', { limit: 100 })).toEqual(await both.memory.list('', { limit: 100 }));
        expect(await both.other.query({ limit: 100 })).toEqual(await both.memory.query({ limit: 100 }));
      } finally {
        await memory.remove();
        await other.remove();
      }
    }),
    { numRuns },
  );
}

/** Each sequence opens stores of its own: five seconds on an idle machine, many on a busy one. Milliseconds. */
const SEQUENCES_MAX_MS = 180_000;

describe('any sequence of operations', () => {
  it(
    'has the same answers in libsql and in memory, and leaves the same records',
    async () => {
      await expectSameAnswers(openLibsql, fc.jsonValue({ maxDepth: 2 }).map(asRead), 40);
    },
    SEQUENCES_MAX_MS,
  );

  onEveryDynamo((open) => {
    it(
      'has the same answers there and in memory, and leaves the same records',
      async () => {
        await expectSameAnswers(open, fc.jsonValue({ maxDepth: 2 }).map(sayable), 20);
      },
      SEQUENCES_MAX_MS,
    );
  });
});

/** What a reader of JSON can get: there is no -0 in it. */
const asRead = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** What DynamoDB can say: numbers between 1e-130 and 1e126, fields that have a name. dynalite, in JavaScript, loses `__proto__`. */
function sayable(value: unknown): unknown {
  if (typeof value === 'number') return Math.round(value % 1e9) / 8 + 0;
  if (Array.isArray(value)) return value.map(sayable);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).filter(([name]) => name !== '' && name !== '__proto__');
  return Object.fromEntries(fields.map(([name, inner]) => [name, sayable(inner)]));
}

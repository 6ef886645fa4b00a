import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe } from '@jest/globals';
import { openLibsqlStore } from '../../runtime/engine/libsql-store.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import type { StoreUnderTest } from './record-store.ts';
import { bundleStore } from './record-store-bundle.ts';

/** The store of the test that runs; `reopen` ends it and opens what it left on disk. */
export interface PresentStore {
  readonly store: RecordStore;
  reopen(): Promise<RecordStore>;
}

/** Runs one suite on every store there is. */
export function onEveryStore(suite: (present: PresentStore) => void): void {
  const bundle = bundleStore();
  afterAll(() => bundle.remove());

  describe.each([
    ['memory', openMemory],
    ['libsql', () => openLibsql(bundle.workerUrl)],
  ] as const)('over %s', (_, open) => {
    let opened: StoreUnderTest;
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.remove());
    suite({
      get store() {
        return opened.store;
      },
      async reopen() {
        opened.store = await opened.reopen();
        return opened.store;
      },
    });
  });
}

async function openMemory(): Promise<StoreUnderTest> {
  let store = memoryStore({ recordLog: true, freezeValues: true });
  return {
    store,
    reopen: async () => {
      await store.durable();
      store = store.restartAfterLosing(0);
      return store;
    },
    remove: () => store.close(),
  };
}

async function openLibsql(workerUrl: URL): Promise<StoreUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-ports-'));
  const open = () => openLibsqlStore({ file: join(folder, 'baton.db'), workerUrl, freezeValues: true });
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

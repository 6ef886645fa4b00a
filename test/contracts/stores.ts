import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe } from '@jest/globals';
import { openLibsqlStore } from '../../runtime/engine/libsql-store.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../runtime/ports.ts';
import { nearestEngines } from '../aws/dynamo-server.ts';
import { dynamo, onEveryDynamo } from './dynamo-stores.ts';
import { embedded, type StoreTraits, type StoreUnderTest } from './record-store.ts';

/** The store of the test that runs; `reopen` ends it and opens what it left on disk. */
export interface PresentStore {
  readonly store: RecordStore;
  readonly traits: StoreTraits;
  reopen(): Promise<RecordStore>;
}

type Suite = (present: PresentStore) => void;

/** Runs one suite on every kind of store there is. */
export function onEveryStore(suite: Suite): void {
  onEmbeddedStores(suite);
  onEveryDynamo((open) => onStore(dynamo, open, suite), nearestEngines);
}

/** The same for parts of the in-process engine, which never run on another. */
export function onEmbeddedStores(suite: Suite): void {
  describe('over memory', () => onStore(embedded, openMemory, suite));
  describe('over libsql', () => onStore(embedded, openLibsql, suite));
}

function onStore(traits: StoreTraits, open: () => Promise<StoreUnderTest>, suite: Suite): void {
  let opened: StoreUnderTest;
  beforeEach(async () => {
    opened = await open();
  });
  afterEach(() => opened.remove());
  suite({
    traits,
    get store() {
      return opened.store;
    },
    async reopen() {
      opened.store = await opened.reopen();
      return opened.store;
    },
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

async function openLibsql(): Promise<StoreUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-ports-'));
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

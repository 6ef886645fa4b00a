import { BatonError } from '../errors.ts';
import type { PutResult, RecordStore, StoredRecord } from '../ports.ts';
import { olderFields } from './mixed-code.ts';
import type { Random } from './random.ts';
import type { Scene } from './scene.ts';
import type { Weather } from './weather.ts';

/** How long the SDK takes before it sends a request again whose answer it did not get, in milliseconds. */
const SENT_AGAIN_MAX_MS = 10_000;
/** How far a listing may lag, in milliseconds. */
const LAG_MAX_MS = 300_000;

/** What stands between one caller and the records. */
export interface Trouble {
  readonly scene: Scene;
  readonly weather: Weather;
  readonly random: Random;
  /** Lets others in; ends the caller where chance says so. */
  readonly point: (what: string) => Promise<void>;
  readonly sleep: (ms: number) => Promise<void>;
  /** The listing as it was, where listings lag. */
  readonly asOf: (timeMs: number, asked: Parameters<RecordStore['query']>[0]) => StoredRecord[] | undefined;
  /** Does this write hang? Then it takes effect by itself, if at all, and nobody is told. */
  readonly hangs: (key: string, write: () => Promise<unknown>) => boolean;
}

/** A store whose every call lets others in before, and fails as a table behind a network does. */
export function troubledStore(store: RecordStore, trouble: Trouble): RecordStore {
  const { scene, weather, random, point, sleep, hangs } = trouble;
  const losesAnswer = (): boolean => scene.has('lost-answer') && random.chance(0.04);

  return {
    async get(key) {
      await point(`get ${key}`);
      weather.check('store');
      return store.get(key);
    },
    async put(key, told, expected, index) {
      await point(`put ${key}`);
      weather.check('store');
      const value = scene.has('mixed-code') ? olderFields(key, told, random) : told;
      const write = () => store.put(key, value, expected, index);
      if (hangs(key, write)) return never();
      const result = await write();
      return result.outcome === 'written' && losesAnswer() ? lost(key, result, write) : result;
    },
    async delete(key) {
      await point(`delete ${key}`);
      weather.check('store');
      if (hangs(key, () => store.delete(key))) return never();
      await store.delete(key);
      if (losesAnswer()) throw unanswered();
    },
    async list(prefix, options) {
      await point(`list ${prefix}`);
      weather.check('store');
      return store.list(prefix, options);
    },
    async query(options) {
      await point('query');
      weather.check('store');
      const lags = scene.has('stale-index') && random.chance(0.7);
      const then = lags ? trouble.asOf(scene.time.nowMs() - random.int(1_000, LAG_MAX_MS), options) : undefined;
      return then ?? store.query(options);
    },
    durable: () => store.durable(),
    close: () => store.close(),
  };

  /** The write is made. Its caller hears of a failure, or, when the request was sent again, what stands there then. */
  async function lost(key: string, made: PutResult, again: () => Promise<PutResult>): Promise<PutResult> {
    scene.trace.line(`  the answer to put ${key} is lost`);
    if (random.chance(0.4)) throw unanswered();
    await sleep(random.int(10, SENT_AGAIN_MAX_MS));
    await point(`put ${key} again`);
    const current = await store.get(key);
    if (!current) return again();
    if (made.outcome === 'written' && current.revision === made.revision) return made;
    return { outcome: 'conflict', current, unsure: true };
  }
}

const unanswered = (): BatonError => new BatonError('service_unavailable', 'The answer to a write was lost.');

/** What a call answers to a caller that is cut off: nothing, ever. */
export const never = (): Promise<never> => new Promise<never>(() => undefined);

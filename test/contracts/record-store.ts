import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RecordStore } from '../../runtime/ports.ts';

/** Where stores differ in what they take. */
export interface StoreTraits {
  /** Keeps the very value that it is given, and was opened so that it freezes it; others keep a copy. */
  readonly keepsReferences: boolean;
  /** Takes whatever JSON can say: also half surrogate pairs, and numbers beyond 1e126. */
  readonly anyJson: boolean;
  /** Text of how many bytes it takes as a value. */
  readonly textMaxBytes: number;
  /** How many records a test of many can write: each may cost a request. */
  readonly many: number;
}

/** One process, one file: there is no limit worth a word. */
export const embedded: StoreTraits = { keepsReferences: true, anyJson: true, textMaxBytes: 3_000_000, many: 5_000 };

/** A store under test. */
export interface StoreUnderTest {
  store: RecordStore;
  /** Ends the store without a flush of its own where it can, and opens what was durable. */
  reopen(): Promise<RecordStore>;
  remove(): Promise<void>;
}

/** What every record store promises. */
export function recordStoreContract(name: string, traits: StoreTraits, open: () => Promise<StoreUnderTest>): void {
  describe(`records in ${name}`, () => {
    let subject: StoreUnderTest;
    let store: RecordStore;

    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.remove());

    describe('a key that is absent', () => {
      it('reads as undefined', async () => {
        expect(await store.get('TASK#1')).toBeUndefined();
      });

      it.each(['absent', 'any'] as const)('is created at revision 1 by a put that expects %s', async (expected) => {
        expect(await store.put('TASK#1', { n: 1 }, expected)).toEqual({ outcome: 'written', revision: 1 });
        expect(await store.get('TASK#1')).toEqual({ key: 'TASK#1', revision: 1, value: { n: 1 } });
      });

      it.each([0, 1])('is not created by a put that expects revision %d', async (expected) => {
        expect(await store.put('TASK#1', {}, expected)).toEqual({ outcome: 'conflict', current: undefined });
        expect(await store.get('TASK#1')).toBeUndefined();
      });

      it('may be deleted', async () => {
        await store.delete('TASK#1');
        await store.durable();
        expect(await store.get('TASK#1')).toBeUndefined();
      });

      it('takes no undefined value', async () => {
        await expect(store.put('TASK#1', undefined, 'any')).rejects.toThrow(TypeError);
      });
    });

    describe.each(['not yet durable', 'durable', 'reopened'])('a record that is %s', (age) => {
      beforeEach(async () => {
        await store.put('TASK#1', { n: 1 }, 'absent', { by: 'ada', at: '2026-01-01T00:00:00.000Z', open: true });
        if (age !== 'not yet durable') await store.durable();
        if (age === 'reopened') store = await subject.reopen();
      });

      it('is replaced by a put that expects its revision', async () => {
        expect(await store.put('TASK#1', { n: 2 }, 1)).toEqual({ outcome: 'written', revision: 2 });
        expect(await store.put('TASK#1', { n: 3 }, 2)).toEqual({ outcome: 'written', revision: 3 });
        expect(await store.get('TASK#1')).toEqual({ key: 'TASK#1', revision: 3, value: { n: 3 } });
      });

      it('is replaced by a put that expects anything', async () => {
        expect(await store.put('TASK#1', { n: 2 }, 'any')).toEqual({ outcome: 'written', revision: 2 });
      });

      it.each(['absent', 2, 0] as const)('answers a put that expects %s with itself', async (expected) => {
        const current = { key: 'TASK#1', revision: 1, value: { n: 1 } };
        expect(await store.put('TASK#1', { n: 2 }, expected)).toEqual({ outcome: 'conflict', current });
        expect(await store.get('TASK#1')).toEqual(current);
      });

      it('lets exactly one of many concurrent puts win', async () => {
        const results = await Promise.all(Array.from({ length: 20 }, (_, n) => store.put('TASK#1', { winner: n }, 1)));
        expect(results.filter(({ outcome }) => outcome === 'written')).toHaveLength(1);
        const winner = results.findIndex(({ outcome }) => outcome === 'written');
        expect(await store.get('TASK#1')).toEqual({ key: 'TASK#1', revision: 2, value: { winner } });
      });

      it('is absent after delete and starts again at revision 1', async () => {
        await store.delete('TASK#1');
        expect(await store.get('TASK#1')).toBeUndefined();
        expect(await store.list('', { limit: 10 })).toEqual([]);
        expect(await store.query({ limit: 10 })).toEqual([]);
        expect(await store.put('TASK#1', { n: 9 }, 1)).toEqual({ outcome: 'conflict', current: undefined });
        expect(await store.put('TASK#1', { n: 9 }, 'absent')).toEqual({ outcome: 'written', revision: 1 });
      });

      it('stays deleted after a reopen', async () => {
        await store.delete('TASK#1');
        await store.durable();
        store = await subject.reopen();
        expect(await store.get('TASK#1')).toBeUndefined();
      });

      it('leaves the listing when a put brings no index', async () => {
        expect(await store.query({ by: 'ada', limit: 10 })).toHaveLength(1);
        await store.put('TASK#1', { n: 2 }, 'any');
        expect(await store.query({ by: 'ada', limit: 10 })).toEqual([]);
        await store.durable();
        expect(await store.query({ by: 'ada', limit: 10 })).toEqual([]);
      });
    });

    it('lets exactly one of many concurrent creations win', async () => {
      const results = await Promise.all(Array.from({ length: 20 }, () => store.put('TASK#1', {}, 'absent')));
      expect(results.filter(({ outcome }) => outcome === 'written')).toHaveLength(1);
    });

    it('keeps every durable record and its listing over a reopen', async () => {
      for (let n = 0; n < 20; n++) await store.put(`TASK#${n}`, { n }, 'absent', indexAt(n));
      await store.put('TASK#3', { n: 33 }, 1, indexAt(3));
      await store.delete('TASK#4');
      await store.durable();
      store = await subject.reopen();
      expect(await store.list('TASK#', { limit: 100 })).toHaveLength(19);
      expect(await store.get('TASK#3')).toEqual({ key: 'TASK#3', revision: 2, value: { n: 33 } });
      expect(keysOf(await store.query({ limit: 3 }))).toEqual(['TASK#19', 'TASK#18', 'TASK#17']);
    });

    it('gives a caller no way to change what is stored', async () => {
      const value = { steps: [{ n: 1 }] };
      await store.put('TASK#1', value, 'absent');
      const change = () => value.steps.push({ n: 2 });
      if (traits.keepsReferences) expect(change).toThrow(TypeError);
      else change();
      expect((await store.get('TASK#1'))?.value).toEqual({ steps: [{ n: 1 }] });
    });

    it.each([
      ['text of many scripts', { text: 'żółw 亀 🐢 "\\\u0000\u2028', ключ: 1 }],
      ['a text as large as it takes', { text: 'é🐢x'.repeat(Math.floor(traits.textMaxBytes / 7)) }],
      ['bare JSON', [null, true, 0.1, -1e100, '', [], {}]],
      ['names that JavaScript has a meaning for', { constructor: { name: 'Map' }, toString: 'x', length: 3 }],
      ['null', null],
      ...(traits.anyJson ? [['what only JSON can say', [-1e300, 'half a pair: \ud800']] as const] : []),
    ])('keeps %s unchanged', async (_, value) => {
      await store.put('KEY#ż🐢', value, 'absent');
      await store.durable();
      expect((await store.get('KEY#ż🐢'))?.value).toEqual(value);
      store = await subject.reopen();
      expect((await store.get('KEY#ż🐢'))?.value).toEqual(value);
      expect(keysOf(await store.list('KEY#ż', { limit: 1 }))).toEqual(['KEY#ż🐢']);
    });

    describe('many records, some durable and some not', () => {
      beforeEach(async () => {
        for (let n = 0; n < 12; n++) {
          await store.put(`TASK#${String(n).padStart(2, '0')}`, { n }, 'absent', indexAt(n));
          await store.put(`RUN#${n}`, { n }, 'absent');
          if (n === 7) await store.durable();
        }
        await store.put('TASK#02', { n: 2 }, 1, { ...indexAt(2), open: false });
        await store.delete('TASK#05');
      });

      it('are listed by prefix in the order of their keys', async () => {
        expect(keysOf(await store.list('TASK#', { limit: 4 }))).toEqual(['TASK#00', 'TASK#01', 'TASK#02', 'TASK#03']);
        expect(keysOf(await store.list('NONE#', { limit: 4 }))).toEqual([]);
        expect(await store.list('', { limit: 100 })).toHaveLength(23);
      });

      it.each([1, 3, 100])('are all listed once by pages of %d', async (limit) => {
        const seen: string[] = [];
        for (let after: string | undefined; ; ) {
          const page = keysOf(await store.list('TASK#', after === undefined ? { limit } : { after, limit }));
          seen.push(...page);
          after = page.at(-1);
          if (after === undefined) break;
        }
        expect(seen).toEqual(tasks(0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11));
      });

      it('are queried newest first, by user, and by what is open', async () => {
        expect(keysOf(await store.query({ limit: 3 }))).toEqual(['TASK#11', 'TASK#10', 'TASK#09']);
        expect(keysOf(await store.query({ by: 'ada', limit: 10 }))).toEqual(tasks(10, 8, 6, 4, 2, 0));
        expect(keysOf(await store.query({ by: 'ada', open: true, limit: 10 }))).toEqual(tasks(10, 8, 6, 4, 0));
        expect(keysOf(await store.query({ open: false, limit: 10 }))).toEqual(tasks(2));
        expect(await store.query({ by: 'nobody', limit: 10 })).toEqual([]);
      });

      it('are queried onwards from a place, which itself is left out', async () => {
        const before = { at: indexAt(9).at, key: 'TASK#09' };
        expect(keysOf(await store.query({ before, limit: 2 }))).toEqual(['TASK#08', 'TASK#07']);
        expect(keysOf(await store.query({ by: 'bob', before, limit: 2 }))).toEqual(['TASK#07', 'TASK#03']);
      });

      it('are all met by paging, also when many are of the same moment', async () => {
        const at = indexAt(3).at;
        for (let n = 0; n < 7; n++) await store.put(`TASK#same${n}`, { n }, 'absent', { by: 'mia', at, open: true });
        const met: string[] = [];
        for (let page = 0; page < 5; page++) {
          const last = met.at(-1);
          met.push(
            ...keysOf(await store.query({ by: 'mia', limit: 2, ...(last ? { before: { at, key: last } } : {}) })),
          );
        }
        expect(met).toEqual([6, 5, 4, 3, 2, 1, 0].map((n) => `TASK#same${n}`));
      });
    });

    it(`lists ${traits.many} keys in order, and finds each`, async () => {
      const keys = Array.from(
        { length: traits.many },
        (_, n) => `TASK#${String((n * 7_919) % traits.many).padStart(4, '0')}`,
      );
      for (const key of keys) await store.put(key, { key }, 'absent');
      await store.durable();
      expect(keysOf(await store.list('TASK#', { limit: 10_000 }))).toEqual([...keys].sort());
      store = await subject.reopen();
      for (const key of keys) expect((await store.get(key))?.value).toEqual({ key });
    });

    it('is durable also when what was pending vanished meanwhile', async () => {
      await store.put('EVENT#1', {}, 'absent');
      const durable = store.durable();
      await store.delete('EVENT#1');
      await durable;
      expect(await store.list('', { limit: 1 })).toEqual([]);
    });

    it('refuses everything after close, and closes twice', async () => {
      await store.close();
      await store.close();
      const closed = expect.objectContaining({ code: 'store_closed' });
      await expect(store.get('TASK#1')).rejects.toEqual(closed);
      await expect(store.put('TASK#1', {}, 'any')).rejects.toEqual(closed);
      await expect(store.delete('TASK#1')).rejects.toEqual(closed);
      await expect(store.list('', { limit: 1 })).rejects.toEqual(closed);
      await expect(store.query({ limit: 1 })).rejects.toEqual(closed);
      await expect(store.durable()).rejects.toEqual(closed);
    });
  });
}

const keysOf = (records: { key: string }[]): string[] => records.map(({ key }) => key);

const tasks = (...numbers: number[]): string[] => numbers.map((n) => `TASK#${String(n).padStart(2, '0')}`);

const indexAt = (n: number): { by: string; at: string; open: boolean } => ({
  by: ['ada', 'eve', 'ada', 'bob'][n % 4]!,
  at: new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString(),
  open: true,
});

import { describe, expect, it } from '@jest/globals';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';

describe('a simulated crash', () => {
  it.each([
    [0, ['A', 'B', 'C']],
    [1, ['A', 'B']],
    [2, ['A']],
  ])('that loses %d operations leaves those before them', async (lost, left) => {
    const store = memoryStore({ recordLog: true });
    await store.put('A', 1, 'absent');
    await store.durable();
    await store.put('B', 1, 'absent');
    await store.put('C', 1, 'absent');
    expect(store.snapshotLog()).toEqual({ applied: 3, durable: 1 });
    const survivor = store.restartAfterLosing(lost);
    expect((await survivor.list('', { limit: 10 })).map(({ key }) => key)).toEqual(left);
  });

  it('brings back what was replaced or deleted after the last sync', async () => {
    const store = memoryStore({ recordLog: true });
    await store.put('A', 'old', 'absent', { by: 'ada', at: '2026-01-01T00:00:00.000Z', open: true });
    await store.put('B', 'old', 'absent');
    await store.durable();
    await store.put('B', 'new', 1);
    await store.delete('A');
    const survivor = store.restartAfterLosing(2);
    expect(await survivor.query({ limit: 10 })).toEqual([{ key: 'A', revision: 1, value: 'old' }]);
    expect((await survivor.get('B'))?.value).toBe('old');
  });

  it('cannot lose what is durable', async () => {
    const store = memoryStore({ recordLog: true });
    await store.put('A', 1, 'absent');
    await store.durable();
    expect(() => store.restartAfterLosing(1)).toThrow(RangeError);
  });

  it('ends the store that crashed, and whoever waits for its sync', async () => {
    let finish: () => void = () => undefined;
    const store = memoryStore({ recordLog: true, sync: () => new Promise((resolve) => (finish = resolve)) });
    await store.put('A', 1, 'absent');
    const durable = store.durable();
    const survivor = store.restartAfterLosing(1);
    finish();
    await expect(durable).rejects.toEqual(expect.objectContaining({ code: 'store_closed' }));
    await expect(store.put('B', 1, 'absent')).rejects.toEqual(expect.objectContaining({ code: 'store_closed' }));
    expect(await survivor.get('A')).toBeUndefined();
  });

  it('keeps only what was written before a sync began', async () => {
    let finish: () => void = () => undefined;
    const store = memoryStore({ recordLog: true, sync: () => new Promise((resolve) => (finish = resolve)) });
    await store.put('A', 1, 'absent');
    const durable = store.durable();
    await store.put('B', 1, 'absent');
    finish();
    await durable;
    expect(store.snapshotLog()).toEqual({ applied: 2, durable: 1 });
  });
});

import { describe, expect, it } from '@jest/globals';
import { engineJournal, IGNORED_MAX } from '../../../runtime/engine/journal.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import { aCause, at } from '../../builders.ts';

describe('the journal of a task', () => {
  it('keeps what was ignored, when and why, and counts what came twice', async () => {
    const journal = engineJournal(memoryStore(), () => at(3));
    journal.ignored('red', aCause('event-1'), 'stale');
    journal.duplicate('red', aCause());
    journal.duplicate('red', aCause());
    expect(await journal.read('red')).toEqual({
      duplicates: 2,
      ignored: [{ at: at(3), cause: aCause('event-1'), reason: 'stale' }],
    });
    expect(await journal.read('green')).toEqual({ duplicates: 0, ignored: [] });
  });

  it('keeps the newest of a storm, and no more than its bound', async () => {
    const journal = engineJournal(memoryStore(), () => at(0));
    for (let n = 0; n < IGNORED_MAX + 10; n++) journal.ignored('red', aCause(), `reason ${n}`);
    const { ignored } = await journal.read('red');
    expect(ignored).toHaveLength(IGNORED_MAX);
    expect(ignored.at(-1)?.reason).toBe(`reason ${IGNORED_MAX + 9}`);
  });

  it('is kept by the store', async () => {
    const store = memoryStore();
    const journal = engineJournal(store, () => at(0));
    journal.duplicate('red', aCause());
    await journal.read('red');
    expect(await engineJournal(store, () => at(0)).read('red')).toMatchObject({ duplicates: 1 });
  });

  it('that cannot be kept fails nobody', async () => {
    const store = memoryStore();
    const journal = engineJournal(store, () => at(0));
    await store.close();
    expect(() => journal.ignored('red', aCause(), 'stale')).not.toThrow();
    expect(await journal.read('red')).toEqual({ duplicates: 0, ignored: [] });
  });

  it('of nobody is not written', async () => {
    const store = memoryStore();
    const journal = engineJournal(store, () => at(0));
    journal.ignored('', aCause(), 'stale');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await store.list('', { limit: 9 })).toEqual([]);
  });
});

import { describe, expect, it } from '@jest/globals';
import { CONCURRENT, localRegistry } from '../../../runtime/engine/local-registry.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import type { RecordStore } from '../../../runtime/ports.ts';
import { DECIDE_TRIES } from '../../../runtime/records.ts';

const definition = { family: 'one', tags: {}, definition: { containerDefinitions: [{ name: 'agent' }] } };

/** Somebody else registers in the family before each write, so many times. */
function overtaken(store: RecordStore, times: number): RecordStore {
  let left = times;
  return {
    ...store,
    async put(...given) {
      // Each of them is within its own rate.
      if (left-- > 0) await localRegistry({ store, nowMs: () => 0 }).register(definition);
      return store.put(...given);
    },
  };
}

describe('a registration that others overtake in its family', () => {
  it('takes the next number', async () => {
    const store = memoryStore({ freezeValues: true });
    const registry = localRegistry({ store: overtaken(store, 2), nowMs: () => 0 });
    expect(await registry.register(definition)).toMatch(/:3$/);
  });

  it('every time is sent away as ECS does, to come again, and nothing of it is there', async () => {
    const store = memoryStore({ freezeValues: true });
    const registry = localRegistry({ store: overtaken(store, DECIDE_TRIES), nowMs: () => 0 });
    await expect(registry.register(definition)).rejects.toMatchObject({
      code: 'compute_throttled',
      retry: 'soon',
      message: expect.stringContaining(CONCURRENT),
    });
    expect(await registry.list({ status: 'ACTIVE' })).toHaveLength(DECIDE_TRIES);
    expect(await registry.register(definition)).toMatch(new RegExp(`:${DECIDE_TRIES + 1}$`));
  });
});

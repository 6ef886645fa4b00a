import { type Done, type EffectLedger, factIdOf } from '../once.ts';
import type { RecordStore } from '../ports.ts';
import { effectKey } from '../records.ts';

/**
 * The ledger of outside effects over a record store that one process has to itself. What is under way is known in memory, so that an
 * entry of a process that died is never in the way; an entry is written when the work is done.
 */
export function effectLedger({ store }: { readonly store: RecordStore }): EffectLedger {
  const underWay = new Map<string, Promise<Done>>();
  return {
    async once(rule, event, work) {
      const key = effectKey(rule, factIdOf(event));
      const other = underWay.get(key);
      if (other) return other;
      const done = doneOrKnown(key, work);
      underWay.set(key, done);
      try {
        return await done;
      } finally {
        underWay.delete(key);
      }
    },
  };

  async function doneOrKnown(key: string, work: () => Promise<Done>): Promise<Done> {
    const known = await store.get(key);
    if (known) return known.value as Done;
    // As before every outside effect: what led to it must outlive the process.
    await store.durable();
    const done = await work();
    await store.put(key, done, 'any');
    return done;
  }
}

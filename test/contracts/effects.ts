import { describe, expect, it } from '@jest/globals';
import { notificationDue } from '../../events/notification-due.ts';
import type { Done, EffectLedger } from '../../runtime/once.ts';
import type { BatonEvent } from '../../schemas/envelope.ts';
import { anEvent, at } from '../builders.ts';

export interface LedgerUnderTest {
  /** The ledger, as one process has it. */
  open(): EffectLedger;
  /** The same as the next process has it. */
  reopen(): Promise<EffectLedger>;
}

const due = (id: string, envelopeId = id): BatonEvent => ({
  ...anEvent(notificationDue.of({ channel: 'webhook', subscriber: 0, status: 'COMPLETED' }), { id }),
  // Another delivery of a fact may come in another envelope.
  id: envelopeId,
});
const fact = anEvent(notificationDue.of({ channel: 'webhook', subscriber: 1, status: 'FAILED' }), { id: 'fact' });

/** What every ledger of outside effects must do. */
export function effectsContract(under: LedgerUnderTest): void {
  let serial = 0;
  const anId = (): string => `t0#notify#${process.pid}-${++serial}`;
  /** Counts how often it is done. */
  const work = (answer: Partial<Done> = {}) => {
    const done: Done = { at: at(1), facts: [fact], ...answer };
    const times = { count: 0 };
    return {
      times,
      do: async () => {
        times.count++;
        return done;
      },
    };
  };

  describe('an outside effect', () => {
    it('is done once, and what it came to is known ever after', async () => {
      const id = anId();
      const { times, do: does } = work();
      const ledger = under.open();
      const first = await ledger.once('rule', due(id), does);
      expect(first).toEqual({ at: at(1), facts: [fact] });
      expect(await ledger.once('rule', due(id, 'other-envelope'), does)).toEqual(first);
      expect(await (await under.reopen()).once('rule', due(id), does)).toEqual(first);
      expect(times.count).toBe(1);
    });

    it('of another fact, or of another rule, is another', async () => {
      const id = anId();
      const { times, do: does } = work({ facts: [] });
      const ledger = under.open();
      await ledger.once('rule', due(id), does);
      await ledger.once('rule', due(anId()), does);
      await ledger.once('rule-2', due(id), does);
      expect(times.count).toBe(3);
    });

    it('that failed is forgotten, and done by whoever comes next', async () => {
      const id = anId();
      const ledger = under.open();
      const failing = async () => {
        throw new Error('no answer');
      };
      await expect(ledger.once('rule', due(id), failing)).rejects.toThrow('no answer');
      const { times, do: does } = work();
      await ledger.once('rule', due(id), does);
      expect(times.count).toBe(1);
    });

    it('is not begun for an event that carries no id of a fact', async () => {
      const { times, do: does } = work();
      const event = { ...due('x'), detail: { data: {} } } as unknown as BatonEvent;
      await expect(under.open().once('rule', event, does)).rejects.toMatchObject({
        code: 'malformed_event',
        retry: 'never',
      });
      expect(times.count).toBe(0);
    });

    it('that is under way is not begun by another', async () => {
      const id = anId();
      const ledger = under.open();
      let go: (done: Done) => void = () => undefined;
      let begun: () => void = () => undefined;
      const under1 = new Promise<void>((resolve) => {
        begun = resolve;
      });
      const first = ledger.once('rule', due(id), () => {
        begun();
        return new Promise<Done>((resolve) => {
          go = resolve;
        });
      });
      await under1;
      const { times, do: does } = work();
      // Waits for the other, or leaves it for later.
      const second = ledger.once('rule', due(id), does).catch((error: { code?: string }) => error.code);
      const early = await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 100, 'waits'))]);
      expect(['waits', 'effect_under_way']).toContain(early);
      go({ at: at(1), facts: [] });
      await first;
      await second;
      expect(times.count).toBe(0);
    });
  });
}

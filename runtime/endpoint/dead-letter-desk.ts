import type { DeadLetterView, Redriven } from '../../schemas/world-api.ts';
import { type DeadLetterBox, letterOf } from '../engine/dead-letter-box.ts';
import { type DeadLetter, type EventBus, letterIdOf, letterKeyOf } from '../engine/event-bus.ts';
import type { RecordStore } from '../ports.ts';
import { shownEvent } from './shown-event.ts';
import { shownCause, taskIn } from './shown-letter.ts';

/** How long the answer to a redrive waits for what becomes of it, in milliseconds: three tries of a quick handler, on a busy machine. */
const REDRIVE_WAIT_MS = 20_000;

/** What operators may do with what was given up in this world. */
export interface DeadLetterDesk {
  /** Newest first. */
  list(options: { limit: number; rule?: string | undefined; before?: string | undefined }): Promise<DeadLetterView[]>;
  /** The latest that holds this event. */
  of(eventId: string): Promise<DeadLetterView | undefined>;
  /** Ids of the oldest. */
  oldest(limit: number, rule?: string): string[];
  /** Delivers each once more to the rule that failed, and tells what became of it. */
  redrive(ids: readonly string[]): Promise<Redriven[]>;
}

export function deadLetterDesk(
  box: Pick<DeadLetterBox, 'newest' | 'keyOf'>,
  bus: Pick<EventBus, 'redeliver'>,
  store: Pick<RecordStore, 'get' | 'durable'>,
): DeadLetterDesk {
  return {
    async list({ limit, rule, before }) {
      const keys = box.newest(limit, { rule, ...(before === undefined ? {} : { before: letterKeyOf(before) }) });
      const kept = await Promise.all(keys.map(async (key) => ({ key, letter: await letterAt(key) })));
      await store.durable();
      return kept.flatMap(({ key, letter }) => (letter ? [shownLetter(letterIdOf(key), letter)] : []));
    },
    async of(eventId) {
      const key = box.keyOf(eventId);
      const letter = key === undefined ? undefined : await letterAt(key);
      return key === undefined || letter === undefined ? undefined : shownLetter(letterIdOf(key), letter);
    },
    oldest: (limit, rule) => box.newest(Number.POSITIVE_INFINITY, { rule }).slice(-limit).reverse().map(letterIdOf),
    async redrive(ids) {
      const redriven = await Promise.all([...new Set(ids)].map(redriveOne));
      await store.durable();
      return redriven;
    },
  };

  async function letterAt(key: string): Promise<DeadLetter | undefined> {
    const record = await store.get(key);
    return record && letterOf(record.value);
  }

  async function redriveOne(id: string): Promise<Redriven> {
    const letter = await letterAt(letterKeyOf(id));
    if (!letter) return { id, outcome: 'unknown_letter' };
    const { rule } = letter;
    const outcome = await withinMs(REDRIVE_WAIT_MS, bus.redeliver(id));
    if (outcome === undefined) return { id, rule, outcome: 'under_way' };
    const failed = outcome === 'failed' ? await letterAt(letterKeyOf(id)) : undefined;
    return { id, rule, outcome, ...(failed ? { error: shownCause(failed.error.code, failed.error.message) } : {}) };
  }
}

const shownLetter = (id: string, { event, rule, tries, at, error }: DeadLetter): DeadLetterView => ({
  id,
  event: { ...shownEvent(event) },
  rule,
  ...taskIn(event),
  tries,
  at,
  error: shownCause(error.code, error.message),
});

/** Undefined when the time is over first; the work goes on alone then. */
async function withinMs<Answer>(ms: number, work: Promise<Answer>): Promise<Answer | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
}

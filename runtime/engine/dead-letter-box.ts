import type { RecordStore } from '../ports.ts';
import type { DeadLetter } from './event-bus.ts';
import type { StoreObserver } from './observed-store.ts';

/** Keys of dead letters begin with this, then sort by the time of their event. */
export const DEAD_LETTER_PREFIX = 'DEAD#';
/** Dead letters read at once while they are counted: some MB at the most. */
const PAGE = 20;

/** Knows how many dead letters there are, by looking at every write of one. */
export interface DeadLetterBox extends Required<Pick<StoreObserver, 'written' | 'deleted'>> {
  /** Counts what an earlier process left. Call it before anything else writes. */
  take(store: RecordStore): Promise<void>;
  count(): number;
  /** Keys of the latest, newest first; of one rule where it is named, older than one of them where that is given. */
  newest(limit: number, only?: { readonly rule?: string | undefined; readonly before?: string | undefined }): string[];
  /** Key of the latest letter that holds this event. */
  keyOf(eventId: string): string | undefined;
}

export function deadLetterBox(): DeadLetterBox {
  const keys = new Set<string>();
  const latest = new Map<string, string>();
  return {
    written: ({ key, value }) => {
      if (key.startsWith(DEAD_LETTER_PREFIX)) add(key, letterOf(value));
    },
    deleted: (key) => void keys.delete(key),
    async take(store) {
      for await (const { key, letter } of deadLettersIn(store)) add(key, letter);
    },
    count: () => keys.size,
    keyOf(eventId) {
      const key = latest.get(eventId);
      if (key === undefined || keys.has(key)) return key;
      latest.delete(eventId);
      return undefined;
    },
    newest: (limit, { rule, before } = {}) =>
      [...keys]
        .filter((key) => (rule === undefined || key.endsWith(`#${rule}`)) && (before === undefined || key < before))
        .sort()
        .reverse()
        .slice(0, limit),
  };

  function add(key: string, { event }: DeadLetter): void {
    keys.add(key);
    latest.set(event.id, key);
  }
}

/** Every dead letter that is kept, oldest event first. */
export async function* deadLettersIn(store: RecordStore): AsyncGenerator<{ key: string; letter: DeadLetter }> {
  let after: string | undefined;
  for (;;) {
    const page = await store.list(DEAD_LETTER_PREFIX, { limit: PAGE, ...(after === undefined ? {} : { after }) });
    for (const { key, value } of page) yield { key, letter: letterOf(value) };
    after = page.at(-1)?.key;
    if (page.length < PAGE) return;
  }
}

/** Only the bus writes below the prefix. */
export const letterOf = (value: unknown): DeadLetter => value as DeadLetter;

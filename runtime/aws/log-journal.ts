import type { Journal } from '../ports.ts';

/** How one delivery went. `already` published again what an earlier delivery had committed; `duplicate` found it and kept quiet. */
export type DeliveryOutcome = 'moved' | 'already' | 'refused' | 'duplicate' | 'ignored';

/** What `react` notes of an ignored event when it is being replayed; any other reason is a refusal. */
const REPLAY = 'replay';

/** The journal of one delivery. On AWS it ends in the delivery's log line and in metrics, never in a record. */
export interface LogJournal extends Journal {
  outcome(published: number): DeliveryOutcome;
  /** Why something was ignored or refused; empty where nothing was. */
  reasons(): readonly string[];
}

export function logJournal(): LogJournal {
  const reasons: string[] = [];
  let duplicates = 0;
  return {
    ignored: (_taskId, _cause, reason) => {
      reasons.push(reason);
    },
    duplicate: () => {
      duplicates++;
    },
    outcome(published) {
      if (reasons.includes(REPLAY)) return 'ignored';
      if (reasons.length > 0) return 'refused';
      if (duplicates > 0) return published > 0 ? 'already' : 'duplicate';
      return 'moved';
    },
    reasons: () => reasons,
  };
}

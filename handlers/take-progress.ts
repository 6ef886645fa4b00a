import { takeProgress as rule } from '../rules/take-progress.ts';
import { refused, said } from '../runtime/outcome.ts';
import { react } from '../runtime/react.ts';

/** Keeps the newest progress on the run's record. Twice is harmless: an older or equal number changes nothing. */
export const takeProgress = react(rule, async (event, { runs }) => {
  const { taskId, attempt, nativeId, seq, text, by } = event.detail.data;
  const kept = await runs.progress({ taskId, attempt, nativeId, seq, text, byRunner: by === 'runner' });
  switch (kept) {
    case 'kept':
      return said([]);
    case 'stale':
    case 'fenced':
      return refused(`progress_is_${kept}`);
  }
});

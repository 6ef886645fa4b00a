import { factId } from '../../lifecycle/evolve.ts';
import type { BatonEvent, Envelope } from '../../schemas/envelope.ts';
import type { Task } from '../../schemas/task.ts';
import type { RecordStore } from '../ports.ts';
import type { Complain } from './promise-names.ts';

/** What no invocation may do that a replay caused, at whatever remove. */
export function watchReplays({
  complain,
  taskOf,
}: {
  readonly complain: Complain;
  readonly taskOf: (taskId: string) => Task | undefined;
}) {
  return { replayed, reachedOut, watchedReplay };

  function reachedOut(what: string): void {
    complain('replay is safe', '', `a replay led to ${what}`);
  }

  function replayed(rule: string, event: Envelope, facts: readonly BatonEvent[], sinceMs: number): void {
    for (const fact of facts) {
      const { replayOf, taskId = '', version = 0, causationId } = fact.detail.metadata;
      if (replayOf === undefined) complain('replay is safe', taskId, `${rule} said ${fact.id} as if it were news`);
      // Its own step, made before: whoever replays it a hundred times would say it a hundred times.
      const entry = taskOf(taskId)?.history.find((one) => one.version === version);
      const isOwn = causationId === causeIdOf(event) && fact.id === factId(taskId, version, fact['detail-type']);
      if (isOwn && entry && Date.parse(entry.at) < sinceMs)
        complain('replay is safe', taskId, `${rule} said ${fact.id} of ${entry.at} again`);
    }
  }

  function watchedReplay(store: RecordStore): RecordStore {
    return {
      ...store,
      async put(key, value, expected, index) {
        const result = await store.put(key, value, expected, index);
        if (key.startsWith('TASK#') && expected === 'absent' && result.outcome === 'written')
          complain('replay is safe', key.slice('TASK#'.length), 'a replay created it');
        return result;
      },
    };
  }
}

const causeIdOf = (event: Envelope): string =>
  (event.detail as { metadata?: { id?: string } }).metadata?.id ?? event.id;

import { type ReplayRequest, type ReplayView, replayRequest } from '../../schemas/replay.ts';
import type { Replays, StoredReplay } from '../engine/replay.ts';
import { BatonError } from '../errors.ts';
import type { RecordStore } from '../ports.ts';
import { inputOf } from './input.ts';

/** What operators may ask of a world about replays. Everything that it tells is on disk. Errors are BatonError. */
export interface ReplayDesk {
  /** Starts a replay of all that was kept. Throws `bad_input`, `replay_exists`, `replay_refused`. */
  start(request: ReplayRequest): Promise<ReplayView>;
  /** Throws `unknown_replay`. */
  view(name: string): Promise<ReplayView>;
  /** Ends it early. Throws `unknown_replay`, `replay_refused` when it is over. */
  cancel(name: string): Promise<ReplayView>;
}

export interface ReplayDeskOver {
  readonly replays: Replays;
  readonly store: Pick<RecordStore, 'durable'>;
  /** Names of the rules of this world. */
  readonly rules: readonly string[];
}

export function replayDesk({ replays, store, rules }: ReplayDeskOver): ReplayDesk & { list(): Promise<ReplayView[]> } {
  return {
    async start(given) {
      const request = inputOf(replayRequest, given, 'the replay');
      assertRules(request.rules ?? [], rules);
      return onDisk(await replays.start(request));
    },
    view: async (name) => onDisk(await replays.get(name)),
    cancel: async (name) => onDisk(await replays.cancel(name)),
    async list() {
      const all = await replays.list();
      await store.durable();
      return all.map(viewOf);
    },
  };

  async function onDisk(replay: StoredReplay): Promise<ReplayView> {
    await store.durable();
    return viewOf(replay);
  }
}

/** Throws `bad_input` for a rule that nobody has. */
export function assertRules(named: readonly string[], known: readonly string[]): void {
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  throw new BatonError('bad_input', `There is no rule ${unknown.join(', ')}.`, {
    remedy: `Name some of these: ${known.join(', ')}.`,
  });
}

function viewOf({ archive: _archive, description: _description, ...view }: StoredReplay): ReplayView {
  return view;
}

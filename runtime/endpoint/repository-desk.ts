import type * as z from 'zod';
import { repositoryConfigRefused } from '../../events/repository-config-refused.ts';
import { repositoryConfigRequested } from '../../events/repository-config-requested.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import {
  CONFIGURATIONS_MAX,
  entryFor,
  plainName,
  type RepositoryConfig,
  type RepositoryEntry,
  repositoryConfig,
  repositoryName,
} from '../../schemas/repository-config.ts';
import type { ConfiguredView } from '../../schemas/world-api.ts';
import { BatonError } from '../errors.ts';
import type { RecordStore } from '../ports.ts';
import { storedIn } from '../repositories.ts';
import { inputOf } from './input.ts';
import { assertNotGivenUp, type Letters, requestEvent, until } from './task-desk.ts';

/** What operators may ask of a world about repositories. Everything that it tells is on disk. Errors are BatonError. */
export interface RepositoryDesk {
  /** All configurations, by name. */
  list(): Promise<readonly RepositoryEntry[]>;
  /** The configuration of this name, or the one that holds for this address. Throws `unknown_repository`. */
  show(nameOrAddress: string): Promise<RepositoryEntry>;
  /**
   * Asks that this configuration, all of it, holds from now on, and waits until it does. Throws `bad_input` with everything that is
   * wrong or with why it was refused, `given_up`, `not_answered`.
   */
  set(name: string, config: unknown): Promise<ConfiguredView>;
  /** Asks that there is no configuration of this name, and waits. Throws `unknown_repository`, `given_up`, `not_answered`. */
  remove(name: string): Promise<ConfiguredView>;
}

/** What the desk needs of a world: its records, and a bus to ask on. */
export interface RepositoryDeskOver {
  readonly store: Pick<RecordStore, 'get' | 'durable'>;
  readonly bus: {
    publish(events: readonly Envelope[]): Promise<void>;
    /** None where a bus has no ear for us: a refusal is told by the silence there. */
    listen?(hear: (event: Envelope) => void): () => void;
  };
  /** None where dead letters are not at hand. */
  readonly letters?: Letters | undefined;
}

export function repositoryDesk({ store, bus, letters }: RepositoryDeskOver): RepositoryDesk {
  return {
    async list() {
      const entries = await stored();
      await store.durable();
      return entries;
    },

    async show(nameOrAddress) {
      const entry = entryFor(nameOrAddress, await stored());
      if (!entry)
        throw unknown(`No configuration holds for "${nameOrAddress}": its tasks take what the deployment says.`);
      await store.durable();
      return entry;
    },

    async set(givenName, given) {
      const name = inputOf(repositoryName, givenName, 'the name');
      const config = inputOf(repositoryConfig, given, 'the configuration');
      const entries = await stored();
      if (entries.length >= CONFIGURATIONS_MAX && !entries.some((entry) => entry.name === name)) {
        throw new BatonError('bad_input', `There are ${CONFIGURATIONS_MAX} configurations already.`, {
          remedy: 'Remove some, or let a pattern such as https://github.com/acme/* stand for many.',
        });
      }
      return configured(name, config);
    },

    async remove(givenName) {
      const name = plainName(givenName);
      if (!(await entryOf(name))) throw unknown(`There is no configuration of the name "${name}".`);
      return configured(inputOf(repositoryName, name, 'the name'), null);
    },
  };

  /** Asks, and waits until what was asked holds, or something later does. */
  async function configured(name: string, config: RepositoryConfig | null): Promise<ConfiguredView> {
    const event = requestEvent(repositoryConfigRequested.type, { name, config });
    const what = `the configuration of "${name}"`;
    let refusal: Refusal | undefined;
    const unlisten = bus.listen?.((heard) => {
      refusal ??= refusalOf(event, heard);
    });
    try {
      await bus.publish([event]);
      const answer = await until(async () => {
        const entry = await entryOf(name);
        if (entry?.setBy === event.id || (!entry && config === null)) return { name, entry: entry ?? null };
        if (entry && entry.setAt > event.time) return { name, entry, superseded: true as const };
        // Overtaken by a removal: nothing holds.
        if (refusal?.code === OVERTAKEN) return { name, entry: entry ?? null, superseded: true as const };
        if (refusal) throw new BatonError('bad_input', `Refused ${what}: ${refusal.message}`);
        return assertNotGivenUp(letters, event, what);
      }, what);
      await store.durable();
      return answer;
    } finally {
      unlisten?.();
    }
  }

  function stored(): Promise<readonly RepositoryEntry[]> {
    return storedIn(store);
  }

  async function entryOf(name: string): Promise<RepositoryEntry | undefined> {
    return (await stored()).find((entry) => entry.name === name);
  }
}

type Refusal = z.infer<typeof repositoryConfigRefused.schema>['reason'];

/** What a refusal says when a later request came first. */
const OVERTAKEN = 'overtaken';

/** Why the request was refused, if that is what was heard. */
function refusalOf({ id }: Envelope, heard: Envelope): Refusal | undefined {
  if (heard['detail-type'] !== repositoryConfigRefused.type || heard.source !== repositoryConfigRefused.source) return;
  if (heard.id !== `${id}#${repositoryConfigRefused.type}`) return;
  return repositoryConfigRefused.schema.safeParse((heard.detail as { data?: unknown }).data).data?.reason;
}

const unknown = (message: string): BatonError => new BatonError('unknown_repository', message);

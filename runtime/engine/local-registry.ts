import type { Described } from '../../lifecycle/user-definition.ts';
import type { Registry } from '../definitions.ts';
import { ComputeError } from '../errors.ts';
import type { RecordStore } from '../ports.ts';
import { DECIDE_TRIES } from '../records.ts';

/** Calls that change task definitions: so many at once, and so many a second then (AWS General Reference, ECS service quotas). */
const BURST = 20;
const PER_SECOND = 1;
/** What ECS says to who registers in a family in which others do so at the same moment. */
export const CONCURRENT = 'Too many concurrent attempts to create a new revision of the specified family.';
/** Revisions read at once. */
const PAGE = 100;

export interface LocalRevision extends Described {
  readonly revision: number;
  readonly status: 'ACTIVE' | 'INACTIVE';
  readonly registeredAt: string;
  readonly deregisteredAt?: string;
}

/** The task definitions of the embedded ECS: families of revisions, which always count on, in records of the store. */
export interface LocalRegistry extends Registry {
  newest(family: string): Promise<LocalRevision | undefined>;
  active(arn: string): Promise<LocalRevision | undefined>;
  /** By whole ARN, or `family:revision`; INACTIVE ones too. */
  revision(name: string): Promise<LocalRevision | undefined>;
  /** Of one family, or of all, oldest first. */
  list(options: { readonly family?: string; readonly status: 'ACTIVE' | 'INACTIVE' }): Promise<LocalRevision[]>;
}

export interface LocalRegistryOptions {
  readonly store: RecordStore;
  readonly nowMs: () => number;
  /** Where the task definitions say that they are; without it, where the embedded world says that it is. */
  readonly place?: { readonly account: string; readonly region: string };
}

const EMBEDDED = { account: '000000000000', region: 'local' };
const PREFIX = 'ECSDEF#';
/** So many digits that the order of keys is that of revisions. */
const keyOf = (family: string, revision: number): string => `${PREFIX}${family}#${String(revision).padStart(8, '0')}`;

/**
 * `register` and `deregister` throw `compute_throttled` beyond the rate of ECS; `register` also where others were always faster in the same
 * family, for which ECS has words of its own.
 */
export function localRegistry({ store, nowMs, place = EMBEDDED }: LocalRegistryOptions): LocalRegistry {
  const arnPrefix = `arn:aws:ecs:${place.region}:${place.account}:task-definition/`;
  let left = BURST;
  let countedAtMs = 0;

  return {
    async newest(family) {
      const all = await revisionsOf(family);
      return all.filter(({ status }) => status === 'ACTIVE').at(-1);
    },

    async active(arn) {
      const known = await revision(arn);
      return known?.status === 'ACTIVE' ? known : undefined;
    },

    revision,

    async register({ family, definition, tags }) {
      assertRate('RegisterTaskDefinition');
      for (let tries = 0; tries < DECIDE_TRIES; tries++) {
        const last = (await revisionsOf(family)).at(-1);
        const number = (last?.revision ?? 0) + 1;
        const value: LocalRevision = {
          arn: `${arnPrefix}${family}:${number}`,
          family,
          revision: number,
          status: 'ACTIVE',
          registeredAt: new Date(nowMs()).toISOString(),
          tags,
          definition: { ...definition, family },
        };
        if ((await store.put(keyOf(family, number), value, 'absent')).outcome === 'written') return value.arn;
      }
      // Nothing was registered: whoever comes again soon finds the family at rest.
      throw new ComputeError('compute_throttled', `ECS RegisterTaskDefinition: ClientException: ${CONCURRENT}`);
    },

    async deregister(arn) {
      assertRate('DeregisterTaskDefinition');
      const known = await revision(arn);
      if (known?.status !== 'ACTIVE') return;
      const gone: LocalRevision = { ...known, status: 'INACTIVE', deregisteredAt: new Date(nowMs()).toISOString() };
      await store.put(keyOf(known.family, known.revision), gone, 'any');
    },

    async list({ family, status }) {
      const found: LocalRevision[] = [];
      const prefix = family === undefined ? PREFIX : `${PREFIX}${family}#`;
      for await (const one of revisions(prefix)) if (one.status === status) found.push(one);
      return found;
    },
  };

  async function revision(name: string): Promise<LocalRevision | undefined> {
    const bare = name.startsWith(arnPrefix) ? name.slice(arnPrefix.length) : name;
    const [, family, number] = /^([A-Za-z0-9_-]+):([1-9]\d{0,7})$/.exec(bare) ?? [];
    if (family === undefined) return undefined;
    return (await store.get(keyOf(family, Number(number))))?.value as LocalRevision | undefined;
  }

  async function revisionsOf(family: string): Promise<LocalRevision[]> {
    const found: LocalRevision[] = [];
    for await (const one of revisions(`${PREFIX}${family}#`)) found.push(one);
    return found;
  }

  async function* revisions(prefix: string): AsyncGenerator<LocalRevision> {
    let after: string | undefined;
    for (;;) {
      const page = await store.list(prefix, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      for (const { value } of page) yield value as LocalRevision;
      after = page.at(-1)?.key;
      if (page.length < PAGE) return;
    }
  }

  /** One bucket for both, which fills again with time. */
  function assertRate(operation: string): void {
    const now = nowMs();
    left = Math.min(BURST, left + (Math.max(0, now - countedAtMs) / 1_000) * PER_SECOND);
    countedAtMs = now;
    if (left < 1) throw new ComputeError('compute_throttled', `ECS ${operation}: ThrottlingException: Rate exceeded`);
    left -= 1;
  }
}

import { createHash } from 'node:crypto';
import { later } from '../lifecycle/evolve.ts';
import {
  CLONE_TAGS,
  CLONE_VERSION,
  cloneFor,
  type Described,
  isBase,
  type NewDefinition,
  userFamilyOf,
} from '../lifecycle/user-definition.ts';
import { because } from '../schemas/reason.ts';
import { type UserDefinitionRecord, userDefinitionRecord } from '../schemas/task-definition.ts';
import { BatonError, ComputeError } from './errors.ts';
import type { AskedDefinition, Clock, Definitions, RecordStore, RunDefinition } from './ports.ts';
import { DECIDE_TRIES, userDefinitionKey } from './records.ts';

/** The task definitions of ECS, of any account or of this machine. Passing troubles throw ComputeError. */
export interface Registry {
  /** The newest ACTIVE revision of a family, with its tags. */
  newest(family: string): Promise<Described | undefined>;
  /** One revision by its ARN, with its tags, while runs can be started from it. */
  active(arn: string): Promise<Described | undefined>;
  /** The ARN of the new revision. */
  register(definition: NewDefinition): Promise<string>;
  /** No new run may use it any more; those that run keep it. Unknown ones count as done. */
  deregister(arn: string): Promise<void>;
}

export interface DefinitionsOver {
  readonly store: RecordStore;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly stage: string;
  /** The family that infrastructure alone writes. */
  readonly baseFamily: string;
  /** Told of what was strange but did not stop the work. */
  readonly warn?: (message: string, error?: unknown) => void;
  /** Told what an operator must mend, or starts wait for it. */
  readonly failed?: (error: ComputeError) => void;
}

/** How long somebody who said that it registers a clone is believed, in seconds: longer than a function may run. */
const REGISTERING_S = 60;
/** How long a superseded clone stays, in seconds: a start that was decided with it is repeated for less. */
const SUPERSEDED_KEPT_S = 3_600;
/** Superseded clones deregistered by one start: it waits for that, and the rate of ECS is one a second. */
const PRUNED_MAX = 1;

/**
 * Task definitions over any store and registry. The base is read at each use, so a new one counts with the next start; what is answered
 * was seen to be active at this very use. One record per user remembers which clone belongs to which base and terms; who registers says so
 * in it first, so that one does.
 */
export function definitionsOver(options: DefinitionsOver): Definitions {
  const { store, registry, clock, stage, baseFamily, warn = () => undefined, failed = () => undefined } = options;
  const cloneFamily = userFamilyOf(baseFamily);

  return {
    base: () =>
      answered(async () => {
        const base = await trusted();
        return 'outcome' in base ? base : ready(base.arn);
      }),

    ofUser: ({ by, ...asked }) =>
      answered(async () => {
        const base = await trusted();
        if ('outcome' in base) return base;
        const fingerprint = fingerprintOf(asked);
        const definition = cloneFor(base, { ...asked, fingerprint });
        if (!definition) return refused(`The task definition ${base.arn} has no container for the agent.`);
        const wanted = { base: base.arn, terms: fingerprint };
        const known = await current(asked, wanted);
        if (known) return known;
        const claim = await claimed(asked, by, wanted);
        return 'record' in claim ? registered(claim.record, by, wanted, definition) : claim;
      }),
  };

  /** What ECS answered instead of a definition. That it is busy or away is no failure of the run. */
  async function answered(ask: () => Promise<RunDefinition>): Promise<RunDefinition> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ComputeError)) throw error;
      // Rights come late too, after a deployment; who waits for one that nobody gives is told by its alarm and ends at its deadline.
      if (error.code === 'compute_denied') failed(error);
      else if (error.retry === 'never') return refused(error.message);
      return { outcome: 'later', message: error.message };
    }
  }

  /** The newest base, if infrastructure wrote it. */
  async function trusted(): Promise<Described | RunDefinition> {
    const base = await registry.newest(baseFamily);
    if (!base)
      return refused(
        `The family "${baseFamily}" has no active task definition. Deploy another image: CloudFormation registers only what changed.`,
      );
    if (isBase(base, stage)) return base;
    return refused(
      `The newest task definition of "${baseFamily}", ${base.arn}, was not written by the infrastructure of this stage: it may be a clone with another user's secrets. Deregister it; if the one below has no marker either, deploy another image, which registers one that has.`,
    );
  }

  /** The clone that the record names, unless somebody put it away behind our back. */
  async function current(whose: Whose, wanted: Wanted): Promise<RunDefinition | undefined> {
    const record = await read(whose);
    if (!record.current || !isSame(record.current, wanted)) return undefined;
    const { arn } = record.current;
    if (isCloneOf(await registry.active(arn), wanted)) {
      await prune(record);
      return ready(arn);
    }
    warn(`the task definition ${arn} is not active any more: another is registered`);
    const at = clock.now();
    await change(whose, (now) => {
      if (now.current?.arn !== arn) return undefined;
      const { current: _gone, ...rest } = now;
      // ECS may only have been late to show it: then it is put away like any other.
      return { ...rest, superseded: [...now.superseded, { arn, at }] };
    });
    return undefined;
  }

  /** The record: this caller registers. Otherwise the answer: somebody else has done so, or is at it. */
  async function claimed(
    whose: Whose,
    by: string,
    wanted: Wanted,
  ): Promise<{ readonly record: UserDefinitionRecord } | RunDefinition> {
    const at = clock.now();
    const record = await change(whose, (known) =>
      isCurrent(known, wanted) || isRegistering(known, at, by)
        ? undefined
        : { ...known, registering: { ...wanted, at, by } },
    );
    if (record.current && isSame(record.current, wanted)) return ready(record.current.arn);
    return record.registering?.by === by
      ? { record }
      : { outcome: 'later', message: 'Another start registers the task definition just now.' };
  }

  async function registered(
    record: UserDefinitionRecord,
    by: string,
    wanted: Wanted,
    definition: NewDefinition,
  ): Promise<RunDefinition> {
    try {
      // The answer to an earlier registration may have been lost, by us or by who was believed for too short a time.
      const newest = await registry.newest(cloneFamily);
      if (isCloneOf(newest, wanted) && !isSuperseded(record, newest.arn)) {
        return await remembered(record, by, wanted, newest.arn);
      }
      return await remembered(record, by, wanted, await registry.register(definition));
    } catch (error) {
      // Of what was turned away nothing is there; what became of a call that nobody answered is looked up by the next.
      const isSure = error instanceof ComputeError && error.code !== 'compute_unavailable';
      if (isSure) await change(record, (known) => without(known, by));
      throw error;
    }
  }

  async function remembered(whose: Whose, by: string, wanted: Wanted, arn: string): Promise<RunDefinition> {
    const at = clock.now();
    const record = await change(whose, (known) => {
      // Who was believed for too short a time, or a copy of the same event, has been faster after all.
      if (isCurrent(known, wanted)) {
        return known.current?.arn === arn ? undefined : { ...known, superseded: [...known.superseded, { arn, at }] };
      }
      const superseded = known.current ? [...known.superseded, { arn: known.current.arn, at }] : known.superseded;
      return { ...(without(known, by) ?? known), current: { ...wanted, arn, at }, superseded };
    });
    await prune(record);
    return ready(record.current?.arn ?? arn);
  }

  /**
   * Deregisters clones that nobody can still be starting. What fails stays in the record for the next time: a start does not fail
   * with it.
   */
  async function prune(record: UserDefinitionRecord): Promise<void> {
    const old = record.superseded.filter(({ at }) => later(at, SUPERSEDED_KEPT_S) <= clock.now()).slice(0, PRUNED_MAX);
    try {
      for (const { arn } of old) {
        await registry.deregister(arn);
        await change(record, (known) => ({
          ...known,
          superseded: known.superseded.filter((one) => one.arn !== arn),
        }));
      }
    } catch (error) {
      if (!(error instanceof BatonError)) throw error;
      warn('superseded task definitions were not deregistered', error);
    }
  }

  async function read(whose: Whose): Promise<UserDefinitionRecord> {
    const stored = await store.get(userDefinitionKey(whose));
    return stored ? userDefinitionRecord.parse(stored.value) : { ...whoseOnly(whose), superseded: [] };
  }

  async function change(
    whose: Whose,
    next: (record: UserDefinitionRecord) => UserDefinitionRecord | undefined,
  ): Promise<UserDefinitionRecord> {
    const key = userDefinitionKey(whose);
    for (let tries = 0; tries < DECIDE_TRIES; tries++) {
      const stored = await store.get(key);
      const known = stored ? userDefinitionRecord.parse(stored.value) : { ...whoseOnly(whose), superseded: [] };
      const changed = next(known);
      if (!changed) return known;
      const written = await store.put(key, changed, stored?.revision ?? 'absent');
      if (written.outcome === 'written') return changed;
    }
    throw new BatonError(
      'contention',
      `the task definitions of "${whose.userId}" were written by others ${DECIDE_TRIES} times`,
    );
  }
}

/** Each user has one in each configuration: what users get differs between them. */
type Whose = Pick<AskedDefinition, 'userId' | 'configuration'>;
const whoseOnly = ({ userId, configuration }: Whose): Whose => ({ userId, configuration });

interface Wanted {
  readonly base: string;
  readonly terms: string;
}

const isCurrent = ({ current }: UserDefinitionRecord, wanted: Wanted): boolean =>
  current !== undefined && isSame(current, wanted);

/** Somebody else is at it, and may still be alive. */
const isRegistering = ({ registering }: UserDefinitionRecord, at: string, by: string): boolean =>
  registering !== undefined && registering.by !== by && later(registering.at, REGISTERING_S) > at;

const isSuperseded = ({ superseded }: UserDefinitionRecord, arn: string): boolean =>
  superseded.some((one) => one.arn === arn);

/** Whether runs of this user, base and terms can start from it: the fingerprint is of all that is the user's. */
const isCloneOf = (known: Described | undefined, { base, terms }: Wanted): known is Described =>
  known?.tags[CLONE_TAGS.base] === base && known.tags[CLONE_TAGS.terms] === terms;

const isSame = (one: Wanted, other: Wanted): boolean => one.base === other.base && one.terms === other.terms;

const without = (record: UserDefinitionRecord, by: string): UserDefinitionRecord | undefined => {
  if (record.registering?.by !== by) return undefined;
  const { registering: _mine, ...rest } = record;
  return rest;
};

const ready = (arn: string): RunDefinition => ({ outcome: 'ready', arn });

const refused = (message: string): RunDefinition => ({
  outcome: 'refused',
  reason: because('definition_refused', message),
});

/** The same terms of the same user have the same fingerprint, in whatever order they are written. */
const fingerprintOf = (terms: Omit<AskedDefinition, 'by'>): string =>
  createHash('sha256')
    .update(
      JSON.stringify({ ...terms, version: CLONE_VERSION }, (_key, value: unknown) =>
        isPlain(value) ? sorted(value) : value,
      ),
    )
    .digest('hex')
    .slice(0, 32);

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sorted = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));

import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import { states } from '../../lifecycle/states.ts';
import { awsTimings } from '../../lifecycle/timings.ts';
import { CLONE_TAGS, isBase, type NewDefinition } from '../../lifecycle/user-definition.ts';
import { type RepositoryConfig, userTermsIn } from '../../schemas/repository-config.ts';
import type { Task } from '../../schemas/task.ts';
import type { UserDefinitionRecord, UserTerms } from '../../schemas/task-definition.ts';
import type { RecordStore, StartEcsRun } from '../ports.ts';
import { REPOSITORIES_KEY, runKey } from '../records.ts';
import type { Complain, Records } from './promise-names.ts';
import { BASE_FAMILY, CLONE_FAMILY, LAG_MAX_MS, type Revision, type SimulatedRegistry } from './simulated-registry.ts';

/** For how long after it was decided a start may still name its definition, in milliseconds: nobody of Baton's deregisters it sooner. */
const NAMED_FOR_MS = 3_000_000;

/** How long a start may be put off at once, in milliseconds: as long as any wait for what is outside. */
const PUT_OFF_MAX_MS = awsTimings.BACKOFF_MAX_S * 1_000;

/** How long whoever says that it registers is believed at the least, in milliseconds: longer than a function may run. */
const CLAIMED_FOR_MS = 50_000;

/** Why a task may fail whose start is put off: what nobody mends by waiting, or the verdict on a text that came late. */
const ENDS_A_DELAY = new Set(['definition_refused', 'guardrail_blocked', 'screening_failed']);

interface Surroundings {
  readonly nowMs: () => number;
  readonly stage: string;
  readonly registry: () => SimulatedRegistry;
  readonly records: Records;
  readonly taskOf: (taskId: string) => Task | undefined;
  readonly tasks: () => Iterable<Task>;
  readonly complain: Complain;
}

/** Watches from what runs are started, and who writes task definitions. */
export function watchDefinitions(around: Surroundings) {
  const { nowMs, stage, records, taskOf, tasks } = around;
  /** What the starts of an attempt named, by run key. */
  const named = new Map<string, string>();
  /** What configurations said, and since when; the last one holds. */
  let configured: { readonly sinceMs: number; readonly record: unknown }[] = [{ sinceMs: 0, record: undefined }];

  return {
    startAsked,
    registers,
    deregisters,
    watchedStarts,
    taskWritten,
    wrote,
    died,
    atTheEnd,
  };

  function broken(taskId: string, message: string): void {
    around.complain('own definition', taskId, message);
  }

  function startAsked(spec: StartEcsRun): void {
    const { taskId, attempt, definition, capacityProvider, tags } = spec;
    const key = runKey(taskId, attempt);
    const told = JSON.stringify([definition, capacityProvider, tags]);
    const first = named.get(key) ?? told;
    named.set(key, first);
    if (first !== told) broken(taskId, `starts of attempt ${attempt} differ: ${first} and ${told}`);
    const task = taskOf(taskId);
    if (!task) return;
    if ('run' in task && task.run?.attempt === attempt && task.run.definition !== definition)
      broken(taskId, `attempt ${attempt} was decided with ${task.run.definition} and starts with ${definition}`);
    mustBeOwn(task, definition);
    const isSpot = capacityProvider === 'FARGATE_SPOT';
    if (isSpot !== mayBeSpot(task, attempt))
      broken(taskId, `attempt ${attempt} of capacity "${task.capacity}" starts on ${capacityProvider}`);
  }

  /** A base of this stage for who shares, a clone of one with nothing of others for who does not. */
  function mustBeOwn({ taskId, userId, isolation }: Task, arn: string | undefined): void {
    const revision = around.registry().revision(arn);
    if (!revision) {
      broken(taskId, `${arn} is no revision`);
      return;
    }
    const isClone = revision.family === CLONE_FAMILY;
    const base = isClone ? around.registry().revision(revision.tags[CLONE_TAGS.base]) : revision;
    if (base?.family !== BASE_FAMILY || base.by !== 'infrastructure' || !isBase(base, stage))
      broken(taskId, `${arn} comes from ${base?.arn}, which infrastructure did not write`);
    if (isClone !== (isolation === 'per-user')) broken(taskId, `isolation "${isolation}" starts with ${arn}`);
    if (isClone && revision.tags[CLONE_TAGS.user] !== userId) broken(taskId, `${arn} is not of ${userId}`);
    for (const reference of Object.values(secretsOf(revision)))
      if (!reference.includes(`:${userId}-`) && !reference.includes(':everybody-'))
        broken(taskId, `${arn} has ${reference}, which is not of ${userId}`);
  }

  /** The records as one invocation sees them that begins now: what it decides may be no older than itself. */
  function watchedStarts(store: RecordStore): RecordStore {
    const sinceMs = nowMs();
    return {
      ...store,
      put(key, value, expected, index) {
        if (key.startsWith('TASK#')) decided(value as Task, sinceMs);
        return store.put(key, value, expected, index);
      },
    };
  }

  function decided(task: Task, sinceMs: number): void {
    const before = taskOf(task.taskId);
    if (!before || before.version >= task.version) return;
    if (task.status === 'STARTING') startDecided(task, task.run.definition, sinceMs);
    if (task.status === 'FAILED' && task.reason.code === 'definition_refused') refusedFor(task, sinceMs);
  }

  function startDecided(task: Task, arn: string | undefined, sinceMs: number): void {
    const { taskId } = task;
    mustBeOwn(task, arn);
    const revision = around.registry().revision(arn);
    if (!revision) return;
    if (revision.gone && revision.gone.ms < sinceMs - LAG_MAX_MS)
      broken(taskId, `${arn} was gone long before the start`);
    const isClone = revision.family === CLONE_FAMILY;
    const base = isClone ? around.registry().revision(revision.tags[CLONE_TAGS.base]) : revision;
    if (base && !newestBases(sinceMs).has(base)) broken(taskId, `${base.arn} was not the newest base any more`);
    if (isClone && base && !termsSince(task, sinceMs).some((terms) => terms && isMadeFor(revision, base, terms)))
      broken(taskId, `${arn} is not what ${task.userId} gets`);
  }

  /** A start that is put off comes again soon, and ends a task only with its deadline. */
  function taskWritten(before: Task | undefined, after: Task): void {
    if (after.status === 'HYDRATED' && after.delay && after.delay.at !== before?.delay?.at) {
      const waitMs = Date.parse(after.due.step ?? '') - Date.parse(after.delay.at);
      if (!(waitMs > 0 && waitMs <= PUT_OFF_MAX_MS)) broken(after.taskId, `is put off until ${after.due.step}`);
    }
    if (before?.status !== 'HYDRATED' || !before.delay || after.version === before.version) return;
    const isRefused = after.status === 'FAILED' && ENDS_A_DELAY.has(after.reason.code);
    const isOutOfTime = after.status === 'TIMED_OUT' && after.endedAt >= after.deadlineAt;
    if (after.status !== 'STARTING' && after.status !== 'CANCELLED' && !isRefused && !isOutOfTime)
      broken(after.taskId, `was put off (${before.delay.message}) and became ${after.status}`);
  }

  /** Who said that it registers does so alone, as long as it is believed. */
  function userWritten(before: UserDefinitionRecord | undefined, after: UserDefinitionRecord): void {
    const [held, now] = [before?.registering, after.registering];
    if (!held || !now || held.by === now.by) return;
    if (Date.parse(now.at) - Date.parse(held.at) < CLAIMED_FOR_MS)
      broken(taskIdOf(now), `${now.by} registers at ${now.at} what ${held.by} said at ${held.at} that it registers`);
  }

  /** Refused for what somebody must mend, never for what passes. */
  function refusedFor(task: Task, sinceMs: number): void {
    const isMixed = [...newestBases(sinceMs)].some((base) => base?.by !== 'infrastructure');
    const isTaken = task.isolation === 'per-user' && termsSince(task, sinceMs).includes(undefined);
    if (!isMixed && !isTaken)
      broken(task.taskId, `was refused its definition: ${'reason' in task && task.reason.message}`);
  }

  function newestBases(sinceMs: number): ReadonlySet<Revision | undefined> {
    return around.registry().newestSince(BASE_FAMILY, sinceMs - LAG_MAX_MS);
  }

  /** What the user got at any time since then; undefined where it was nothing. */
  function termsSince({ configuration, userId }: Task, sinceMs: number): readonly (UserTerms | undefined)[] {
    const past = configured.filter((_, place) => (configured[place + 1]?.sinceMs ?? Infinity) >= sinceMs);
    return past.map(({ record }) => {
      const { entries = [] } = (record ?? {}) as { entries?: readonly { name: string; config: RepositoryConfig }[] };
      const entry = entries.find(({ name }) => name === configuration);
      return entry && userTermsIn(entry.config, userId);
    });
  }

  function wrote(key: string, before: unknown, after: unknown): void {
    if (key === REPOSITORIES_KEY) configured.push({ sinceMs: nowMs(), record: after });
    if (key.startsWith('TASKDEF#'))
      userWritten(before as UserDefinitionRecord | undefined, after as UserDefinitionRecord);
  }

  function registers({ family }: NewDefinition): void {
    if (family !== CLONE_FAMILY) broken('', `Baton registers in ${family}`);
  }

  function deregisters({ arn, family }: Revision): void {
    if (family !== CLONE_FAMILY) broken('', `Baton deregisters ${arn}`);
    for (const task of tasks()) {
      const run = 'run' in task && !states[task.status].terminal ? task.run : undefined;
      if (run?.definition === arn && Date.parse(run.dispatchedAt) > nowMs() - NAMED_FOR_MS)
        broken(task.taskId, `${arn} is deregistered while attempt ${task.attempt} may still be started with it`);
    }
  }

  function died(): void {
    configured = [{ sinceMs: 0, record: records.get(REPOSITORIES_KEY) }];
    const known = remembered();
    // What was written down of it is lost.
    for (const revision of around.registry().revisions) if (!known.has(revision.arn)) revision.kept = false;
  }

  /** Each clone that somebody wrote down is in use, or is put away at a later time. */
  function atTheEnd(): void {
    const known = remembered();
    for (const { arn, by, gone, kept } of around.registry().revisions)
      if (by === 'baton' && kept && !gone && !known.has(arn)) broken('', `${arn} is active and nobody knows of it`);
  }

  function remembered(): ReadonlySet<string> {
    const known = new Set<string>();
    for (const [key, value] of records) {
      if (!key.startsWith('TASKDEF#')) continue;
      const { current, superseded } = value as UserDefinitionRecord;
      for (const { arn } of [...(current ? [current] : []), ...superseded]) known.add(arn);
    }
    return known;
  }
}

/** Whose task asked. */
export const taskIdOf = ({ by }: { readonly by: string }): string => by.split('/')[0] ?? '';

/** Where Spot comes first, until it was not there or was taken back: before this attempt, however late its start is called. */
const mayBeSpot = ({ capacity, history }: Task, attempt: number): boolean =>
  capacity === 'spot' ||
  (capacity === 'spot-first' &&
    !history.some((entry) => entry.attempt < attempt && SPOT_IS_OVER.has(entry.lostFor ?? '')));

const SPOT_IS_OVER = new Set(['spot_interrupted', 'no_capacity']);

interface Container {
  readonly name: string;
  readonly secrets?: readonly { readonly name: string; readonly valueFrom: string }[];
}

const agentIn = ({ definition }: Revision): Container | undefined =>
  (definition['containerDefinitions'] as readonly Container[]).find(({ name }) => name === AGENT_CONTAINER);

const secretsOf = (revision: Revision): Readonly<Record<string, string>> =>
  Object.fromEntries((agentIn(revision)?.secrets ?? []).map(({ name, valueFrom }) => [name, valueFrom]));

/** The revision has these terms, and all else from that base. */
function isMadeFor(revision: Revision, base: Revision, { size, fileSystem, secrets = {} }: UserTerms): boolean {
  const { cpu = base.definition['cpu'], memory = base.definition['memory'] } = size ?? {};
  const image = (of: Revision): unknown => (agentIn(of) as { image?: string } | undefined)?.image;
  return (
    image(revision) === image(base) &&
    revision.definition['cpu'] === String(cpu) &&
    revision.definition['memory'] === String(memory) &&
    sortedText(secretsOf(revision)) === sortedText(secrets) &&
    JSON.stringify(revision.definition['volumes'] ?? []).includes(fileSystem?.accessPoint ?? '[]')
  );
}

const sortedText = (value: Readonly<Record<string, string>>): string => JSON.stringify(Object.entries(value).sort());

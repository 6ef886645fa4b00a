import type { BatonEvent, Envelope } from '../schemas/envelope.ts';
import type { Reason } from '../schemas/reason.ts';
import type { Status, Task } from '../schemas/task.ts';
import type { TaskResult } from '../schemas/task-result.ts';
import { factId } from './evolve.ts';
import { isSettled, states } from './states.ts';
import { transitions } from './transitions.ts';

/** What the facts of a task tell of its record, without looking at it. */
export interface Projection {
  readonly taskId: string;
  readonly status: Status;
  readonly version: number;
  readonly attempt: number;
  readonly settled: boolean;
  readonly userId?: string;
  readonly repository?: string;
  readonly compute?: string;
  readonly submittedAt?: string;
  readonly deadlineAt?: string;
  readonly endedAt?: string;
  readonly reason?: Reason;
  readonly result?: TaskResult;
  /** Versions that no fact tells although a transition to them says something. */
  readonly missing: readonly number[];
}

/** The facts of one task, as far as they have been seen: in any order, and as often as they come. */
export interface FactsOfTask {
  readonly taskId: string;
  /** By version: the facts of its transition, by type. */
  readonly told: Map<number, Map<string, ToldFact>>;
  settled: boolean;
}

interface ToldFact {
  readonly at: string;
  readonly attempt: number;
  readonly data: Readonly<Record<string, unknown>>;
}

type Transition = (typeof transitions)[keyof typeof transitions];
const table: readonly Transition[] = Object.values(transitions);
const speaking = new Set<string>(table.flatMap(({ emits }) => emits));
const silent = table.filter(({ emits }) => emits.length === 0);

export const noFacts = (taskId: string): FactsOfTask => ({ taskId, told: new Map(), settled: false });

/** The task that an event tells a step of; none where it is no fact of a transition or of settling. */
export function stepOf(event: Envelope): string | undefined {
  if (event.source !== 'baton') return undefined;
  const { metadata } = (event as BatonEvent).detail;
  const { taskId, version } = metadata ?? {};
  if (taskId === undefined || version === undefined) return undefined;
  const type = event['detail-type'];
  if (type === 'TaskSettled') return taskId;
  return speaking.has(type) && metadata.id === factId(taskId, version, type) ? taskId : undefined;
}

/** Takes in a fact of the task. The same facts lead to the same result in whatever order they come. */
export function tell(facts: FactsOfTask, event: Envelope): void {
  const { metadata, data } = (event as BatonEvent<string, ToldFact['data']>).detail;
  const { version = 0, attempt = 1, occurredAt: at } = metadata;
  const type = event['detail-type'];
  if (type === 'TaskSettled') {
    facts.settled = true;
    return;
  }
  const known = facts.told.get(version) ?? new Map<string, ToldFact>();
  const before = known.get(type);
  // A step that a crash took back was made once more, later: what was said last is what holds.
  if (!before || before.at < at) known.set(type, { at, attempt, data });
  facts.told.set(version, known);
}

/** Folds the facts of a task in the order of their versions; undefined where none tells a step. */
export function projectionOf({ taskId, told, settled }: FactsOfTask): Projection | undefined {
  let now: { statuses: ReadonlySet<Status>; version: number } | undefined;
  let facts: ReadonlyMap<string, ToldFact> = new Map();
  let status: Status | undefined;
  const missing: number[] = [];
  for (const version of [...told.keys()].sort((a, b) => a - b)) {
    facts = latest(told.get(version));
    const before = now?.version ?? 0;
    const fitting = table.filter(({ emits }) =>
      [...facts.keys()].every((type) => (emits as readonly string[]).includes(type)),
    );
    const after = now && silently(now.statuses, version - before - 1);
    const possible = fitting.filter(({ from }) =>
      after ? (from as readonly Status[]).some((one) => after.has(one)) : version === 1 && from.length === 0,
    );
    if (possible.length === 0) for (let lost = before + 1; lost < version; lost++) missing.push(lost);
    now = { statuses: new Set((possible.length > 0 ? possible : fitting).map(({ to }) => to)), version };
    status = [...now.statuses][0] ?? status;
  }
  const [last] = facts.values();
  if (!now || !status || !last) return undefined;
  const first = latest(told.get(1)).get('TaskSubmitted');
  const reason = [...facts.values()].flatMap(({ data }) => (data['reason'] ? [data['reason'] as Reason] : []))[0];
  const result = [...facts.values()].flatMap(({ data }) => (data['result'] ? [data['result'] as TaskResult] : []))[0];
  return {
    taskId,
    status,
    version: now.version,
    attempt: last.attempt,
    settled,
    ...(first
      ? { ...pickText(first.data, ['userId', 'repository', 'compute', 'deadlineAt']), submittedAt: first.at }
      : {}),
    ...(states[status].terminal ? { endedAt: last.at } : {}),
    ...(reason ? { reason } : {}),
    ...(result ? { result } : {}),
    missing,
  };
}

/** How a record and what the facts tell of it stand to each other. */
export type Comparison =
  | { readonly kind: 'same' }
  /** The record is further by steps that say nothing. */
  | { readonly kind: 'silent'; readonly steps: number }
  /** Steps of the record that no fact tells. */
  | { readonly kind: 'facts_missing'; readonly versions: readonly number[] }
  | { readonly kind: 'record_missing' }
  | { readonly kind: 'differs'; readonly fields: readonly FieldDifference[] };

export interface FieldDifference {
  readonly field: string;
  readonly told: unknown;
  readonly stored: unknown;
}

/** Compares what the facts tell with the record. */
export function compared(told: Projection | undefined, stored: Task | undefined): Comparison {
  if (!stored) return { kind: 'record_missing' };
  if (!told) return { kind: 'facts_missing', versions: versionsTo(stored.version) };
  const steps = stored.version - told.version;
  const isSilent = steps > 0 && silently(new Set([told.status]), steps).has(stored.status);
  const fields = differencesOf(told, stored, steps === 0);
  if (fields.length > 0) return { kind: 'differs', fields };
  if (steps < 0) return { kind: 'differs', fields: [{ field: 'version', told: told.version, stored: stored.version }] };
  const unheard = steps > 0 && !isSilent ? versionsTo(stored.version).slice(told.version) : [];
  const versions = [...told.missing, ...unheard];
  if (versions.length > 0) return { kind: 'facts_missing', versions };
  if (steps > 0) return { kind: 'silent', steps };
  return { kind: 'same' };
}

/** Fields that stay, and at the same version all that the facts tell. A fact that is not there tells nothing. */
function differencesOf(told: Projection, stored: Task, isSameVersion: boolean): FieldDifference[] {
  const lasting = ['userId', 'repository', 'compute', 'submittedAt', 'deadlineAt'] as const;
  const passing = ['status', 'attempt', 'endedAt', 'reason', 'result'] as const;
  const record = stored as unknown as Readonly<Record<string, unknown>>;
  const fields: FieldDifference[] = [...lasting, ...(isSameVersion ? passing : [])].flatMap((field) => {
    const is = record[field];
    return told[field] === undefined || isEqual(told[field], is) ? [] : [{ field, told: told[field], stored: is }];
  });
  if (isSameVersion && told.settled !== isSettled(stored))
    fields.push({ field: 'settled', told: told.settled, stored: isSettled(stored) });
  return fields;
}

/** The states that so many silent steps lead to. */
function silently(from: ReadonlySet<Status>, steps: number): ReadonlySet<Status> {
  let reached = from;
  for (let step = 0; step < steps && reached.size > 0; step++) {
    reached = new Set(
      silent.filter((one) => (one.from as readonly Status[]).some((status) => reached.has(status))).map(({ to }) => to),
    );
  }
  return reached;
}

/** The facts that were said last about a version: those of one transition have one time. */
function latest(facts: ReadonlyMap<string, ToldFact> = new Map()): ReadonlyMap<string, ToldFact> {
  const at = [...facts.values()]
    .map((fact) => fact.at)
    .sort()
    .at(-1);
  return new Map([...facts].filter(([, fact]) => fact.at === at));
}

const versionsTo = (version: number): number[] => Array.from({ length: version }, (_, index) => index + 1);

function pickText(data: ToldFact['data'], names: readonly string[]): object {
  return Object.fromEntries(names.flatMap((name) => (typeof data[name] === 'string' ? [[name, data[name]]] : [])));
}

/** Both are plain JSON; the order of fields means nothing. */
function isEqual(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [left, right] = [a, b] as [Record<string, unknown>, Record<string, unknown>];
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...names].every((name) => isEqual(left[name], right[name]));
}

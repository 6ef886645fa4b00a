import type { Fact } from '../events/define.ts';
import type { Reason } from '../schemas/reason.ts';
import type { ScreenedText } from '../schemas/screening.ts';
import type { Delay, DuePurpose, HistoryEntry, StopIntent, TaskRun, TerminalTask } from '../schemas/task.ts';
import type { SavedWork, TaskResult } from '../schemas/task-result.ts';

/** Who noticed the end of a task first: the agent's report, a native event, an alarm, or a request. */
export type DetectedBy = TerminalTask['detectedBy'];

/** What each transition brings along; the state it leads to demands it. */
export interface Brings {
  screenRequest: { screened: readonly ScreenedText[] };
  queue: object;
  admit: object;
  fetchContext: { contextRef: string };
  screenContext: { screened: readonly ScreenedText[] };
  hydrate: { input: string };
  start: { run: TaskRun };
  run: { run: TaskRun };
  finalize: { run: TaskRun; exitCode: number };
  complete: { run: TaskRun; result: TaskResult; detectedBy: DetectedBy };
  fail: { run?: TaskRun; reason: Reason; result?: TaskResult; savedWork?: SavedWork; detectedBy: DetectedBy };
  stop: { run: TaskRun; intent: StopIntent; reason: Reason; resumeAt?: string };
  redirect: { intent: StopIntent; reason: Reason };
  cancel: { run?: TaskRun; reason: Reason; result?: TaskResult; savedWork?: SavedWork; detectedBy: DetectedBy };
  expire: { run?: TaskRun; reason: Reason; result?: TaskResult; savedWork?: SavedWork; detectedBy: DetectedBy };
  backOff: { reason: Reason; savedWork?: SavedWork; resumeAt?: string; pauses?: number };
}

export type MoveName = keyof Brings;

/** One step along a row of the transition table, with the facts it stores. Raises the version. */
export type Step = {
  [Name in MoveName]: {
    readonly kind: 'step';
    readonly name: Name;
    readonly bring: Brings[Name];
    readonly facts: readonly Fact[];
  };
}[MoveName];

/** A fact that belongs to no transition; its id is given, so that saying it twice is saying it once. */
export interface Note {
  readonly id: string;
  readonly fact: Fact;
}

/** A change that is no transition: handle, due dates, proof. Never raises the version. */
export interface Mark {
  readonly kind: 'mark';
  readonly run?: TaskRun;
  /** Due dates to set; `null` removes one. */
  readonly due?: Partial<Record<DuePurpose, string | null>>;
  /** Versions of entries that need no repetition any more. */
  readonly proven?: readonly number[];
  readonly settledAt?: string;
  /** Why the next step was put off; its due date comes along. */
  readonly delay?: Delay;
  /** Facts that the mark says, in the order of publishing. */
  readonly notes: readonly Note[];
  /** Entries whose facts are published again as they were stored. */
  readonly again?: readonly HistoryEntry[];
}

/** This was done before; its notes and entries are said again only where a delivery is known to be a retry. */
export interface Repeat {
  readonly kind: 'repeat';
  readonly notes: readonly Note[];
  readonly again: readonly HistoryEntry[];
}

/** Nothing to do, and why. */
export interface Ignore {
  readonly kind: 'ignore';
  readonly reason: string;
}

export type Move = Step | Mark | Repeat | Ignore;

export const step = <Name extends MoveName>(name: Name, bring: Brings[Name], facts: readonly Fact[]): Step =>
  ({ kind: 'step', name, bring, facts }) as Extract<Step, { name: Name }>;

export const mark = (changes: Omit<Mark, 'kind' | 'notes'> & { notes?: readonly Note[] }): Mark => ({
  kind: 'mark',
  notes: [],
  ...changes,
});

export const repeat = (notes: readonly Note[], again: readonly HistoryEntry[] = []): Repeat => ({
  kind: 'repeat',
  notes,
  again,
});

export const ignore = (reason: string): Ignore => ({ kind: 'ignore', reason });

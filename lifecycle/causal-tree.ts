import type { Cause } from '../schemas/envelope.ts';
import type { ExplainedCause, ExplainedReason } from '../schemas/explanation.ts';
import { remedyFor } from '../schemas/reason.ts';
import { nativeIdOf } from '../schemas/run-handle.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { HistoryEntry, Task } from '../schemas/task.ts';
import { isTerminal, runOf, states } from './states.ts';
import { transitions } from './transitions.ts';

/** Below what an event that is no fact of the task hangs: the step that it met, the start of the run that it is about, the step in its id. */
type Below = 'met' | 'start' | 'named';

interface Outsider {
  readonly who: string;
  readonly what: string;
  readonly below: Below;
}

/**
 * Who speaks to a task besides its own facts, by detail-type. An event that is neither here nor a fact of the task is shown as
 * unlinked: whoever lets a new event move tasks adds its row.
 */
export const outsiders: Readonly<Record<string, Outsider>> = {
  TaskCancelRequested: { who: 'a requester', what: 'asked that the task ends', below: 'met' },
  SlotGranted: { who: 'the slot key', what: 'gave a slot that had become free', below: 'met' },
  AlarmRang: { who: 'the alarm clock', what: 'rang', below: 'met' },
  AttemptDue: { who: 'the alarm clock', what: 'rang: the wait before the next attempt is over', below: 'named' },
  RunEnded: { who: 'Baton', what: 'knew that the compute of the run had ended', below: 'met' },
  RunClaimed: { who: 'the runner', what: 'claimed the attempt', below: 'start' },
  RunReported: { who: 'the runner', what: 'stored its report', below: 'start' },
  RunAsked: { who: 'the back end', what: 'was asked about the run and answered', below: 'named' },
  TextScreened: { who: 'the guardrail', what: 'was asked more than once; its worst answer holds', below: 'named' },
  StartRefused: { who: 'the back end', what: 'refused the start', below: 'start' },
  'ECS Task State Change': { who: 'Amazon ECS', what: 'told of the run', below: 'start' },
  'EC2 Command Invocation Status-change Notification': {
    who: 'Systems Manager',
    what: 'told of the command of the run',
    below: 'start',
  },
  'EC2 Instance State-change Notification': {
    who: 'Amazon EC2',
    what: 'told of the machine of the run',
    below: 'start',
  },
  'EC2 Spot Instance Interruption Warning': {
    who: 'Amazon EC2',
    what: 'warned that it takes the machine of the run back',
    below: 'start',
  },
  'EC2 Instance-terminate Lifecycle Action': {
    who: 'Auto Scaling',
    what: 'asked to take the machine of the run away',
    below: 'start',
  },
};

export interface CausalTree {
  readonly tree: ExplainedCause;
  readonly unlinked: readonly Cause[];
}

/** From the request to settled: each step below what caused it. Nothing is left out; what cannot be linked stands below the request. */
export function causalTree(task: Task, records: readonly RunRecord[]): CausalTree {
  const { taskId, history } = task;
  const first = history[0];
  const root = aCause('request', {
    id: first?.cause.id ?? taskId,
    type: first?.cause.type ?? '',
    at: task.submittedAt,
    who: task.userId,
    what: `asked for a task on ${task.repository}`,
  });
  const steps = new Map<number, ExplainedCause>();
  const said = new Map<string, ExplainedCause>();
  const unlinked: Cause[] = [];
  for (const entry of history) {
    const node = stepOf(task, entry);
    (entry.from === null ? root : causeOf(entry)).ledTo.push(node);
    steps.set(entry.version, node);
    for (const { id } of entry.facts) said.set(id, node);
  }
  for (const record of records) noteRecord(record, startOf(record.attempt, task.version + 1, steps));
  noteEnd(task, startOf(task.attempt, task.version + 1, steps));
  noteSettled(task, steps.get(task.version) ?? root);
  return { tree: root, unlinked };

  /** What caused a step: a fact of an earlier one, or an event from outside, which is put into its place. */
  function causeOf(entry: HistoryEntry): ExplainedCause {
    const { cause, at, attempt, version } = entry;
    const owner = said.get(cause.id);
    if (owner) return owner;
    const outsider = outsiders[cause.type];
    const below = outsider ? placeOf(outsider.below, entry) : steps.get(versionIn(cause.id, taskId) ?? version);
    if (!below) unlinked.push(cause);
    const event = aCause('event', {
      id: cause.id,
      type: cause.type,
      at,
      who: outsider?.who ?? 'somebody',
      what: outsider ? `${outsider.what}${detailOf(cause, taskId, attempt)}` : 'said something',
      ...(below ? {} : { unlinked: true as const }),
    });
    (below ?? root).ledTo.push(event);
    return event;
  }

  function placeOf(below: Below, { cause, version, attempt }: HistoryEntry): ExplainedCause | undefined {
    switch (below) {
      case 'met':
        return steps.get(version - 1);
      case 'named':
        return steps.get(versionIn(cause.id, taskId) ?? version);
      case 'start':
        return startOf(attempt, version, steps);
    }
  }
}

/** Reason in the data of a fact, where it is kept and brings one. */
export function reasonIn(entry: HistoryEntry): ExplainedReason | undefined {
  for (const { data } of entry.facts) {
    const reason = (data as { reason?: { code?: unknown; message?: unknown } } | undefined)?.reason;
    if (typeof reason?.code === 'string')
      return explained({ code: reason.code, message: String(reason.message) }, states[entry.to].terminal);
  }
  return undefined;
}

export const explained = (reason: { code: string; message: string }, isOver = false): ExplainedReason => ({
  code: reason.code,
  message: reason.message,
  remedy: remedyFor(reason.code, isOver),
});

const aCause = (kind: ExplainedCause['kind'], told: Omit<ExplainedCause, 'kind' | 'ledTo'>): ExplainedCause => ({
  kind,
  ...told,
  ledTo: [],
});

const stepId = (taskId: string, version: number): string => `${taskId}#${version}`;

function stepOf({ taskId }: Task, entry: HistoryEntry): ExplainedCause {
  const { transition, from, to, at, version, attempt, proven = false } = entry;
  const reason = reasonIn(entry);
  const row = transitions[transition as keyof typeof transitions] as { summary: string } | undefined;
  return aCause('step', {
    id: stepId(taskId, version),
    at,
    who: 'Baton',
    what: row?.summary ?? `The step "${transition}", which this version does not know.`,
    step: {
      transition,
      from,
      to,
      version,
      attempt,
      proven,
      facts: entry.facts.map(({ id, type }) => ({ id, type })),
      ...(reason ? { reason } : {}),
    },
  });
}

/** The version in an id that begins as those of a task's facts do: `<task>#<version>#…`. */
function versionIn(id: string, taskId: string): number | undefined {
  if (!id.startsWith(`${taskId}#`)) return undefined;
  const version = Number.parseInt(id.slice(taskId.length + 1), 10);
  return Number.isNaN(version) ? undefined : version;
}

/** What the id of an event tells besides who spoke. */
function detailOf({ id, type }: Cause, taskId: string, attempt: number): string {
  switch (type) {
    case 'ECS Task State Change': {
      const cut = id.lastIndexOf('#');
      return `, in version ${id.slice(cut + 1)} of ${id.slice(0, cut)}`;
    }
    case 'AlarmRang':
      return `, set for ${id.slice(`alarm#${taskId}#`.length)}`;
    case 'RunAsked':
      return id.endsWith('#missing') ? ': it knows of none' : '';
    case 'SlotGranted':
      return ` to attempt ${attempt}`;
    default:
      return '';
  }
}

/** The step that handed the run of this attempt to its back end. */
function startOf(attempt: number, before: number, steps: ReadonlyMap<number, ExplainedCause>) {
  for (let version = before - 1; version > 0; version--) {
    const node = steps.get(version);
    if (node?.step?.to === 'STARTING' && node.step.attempt === attempt) return node;
  }
  return undefined;
}

/** What the record of a run knows, and no step says: claim, first word, report, life after its end. */
function noteRecord({ claim, firstOutputAt, report, outlivedAt }: RunRecord, start: ExplainedCause | undefined): void {
  if (!start) return;
  const hasSaid = (type: string): boolean => start.ledTo.some((one) => one.type === type);
  if (claim && !hasSaid('RunClaimed')) {
    note(start, 'claim', claim.at, 'the runner', `claimed the attempt as ${claim.nativeId}`);
  }
  if (firstOutputAt) note(start, 'first-output', firstOutputAt, 'the agent', 'said its first word');
  if (report && !hasSaid('RunReported')) {
    note(start, 'report', report.endedAt, 'the runner', `reported that the agent ${report.outcome}`);
  }
  if (outlivedAt) {
    note(start, 'outlived', outlivedAt, 'the runner', 'was refused: it had lived on after its attempt was over');
  }
}

/** The end of the compute, where it was seen when no step followed from it. */
function noteEnd(task: Task, start: ExplainedCause | undefined): void {
  const run = runOf(task);
  const isToldByStep = task.history.some((entry) => entry.at === run?.ended?.at);
  if (start && run?.ended && !isToldByStep) {
    note(start, 'ended', run.ended.at, 'the back end', endText(run.ended, run.handle));
  }
}

function note(start: ExplainedCause, id: string, at: string, who: string, what: string): void {
  start.ledTo.push(aCause('noted', { id: `${start.id}#${id}`, at, who, what }));
  start.ledTo.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

type End = NonNullable<NonNullable<ReturnType<typeof runOf>>['ended']>;

function endText({ proof, exitCode }: End, handle: Parameters<typeof nativeIdOf>[0] | undefined): string {
  const which = handle ? ` ${nativeIdOf(handle)}` : '';
  switch (proof) {
    case 'proven':
      return `ended the run${which}${exitCode === undefined ? '' : `, exit code ${exitCode}`}`;
    case 'never_started':
      return 'never ran it';
    case 'given_up':
      return `was not seen to end the run${which}, and it was given up`;
  }
}

function noteSettled(task: Task, last: ExplainedCause): void {
  if (!isTerminal(task) || task.settledAt === undefined) return;
  const ended = runOf(task)?.ended;
  const compute = ended ? `compute ended (${ended.proof.replace('_', ' ')})` : 'no compute was left';
  last.ledTo.push(
    aCause('settled', {
      id: `${task.taskId}#TaskSettled`,
      type: 'TaskSettled',
      at: task.settledAt,
      who: 'Baton',
      what: `Settled: the last fact was delivered, ${compute}, the slot returned.`,
    }),
  );
}

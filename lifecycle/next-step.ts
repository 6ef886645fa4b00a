import { eventOf } from '../events/index.ts';
import type { ExplainedSlot, Next } from '../schemas/explanation.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { DuePurpose, Task, TaskIn, TerminalTask } from '../schemas/task.ts';
import { awaitsContext, awaitsScreening } from './admission.ts';
import { closeStop } from './close-stop.ts';
import { dueText } from './due-words.ts';
import { earliestDue } from './evolve.ts';
import { beats } from './life-signs.ts';
import { computeIsOver } from './settle.ts';
import { isSettled, runOf } from './states.ts';
import { attemptsUsed, awsTimings } from './timings.ts';

interface Around {
  readonly record: RunRecord | undefined;
  readonly slot: ExplainedSlot;
  readonly at: string;
}

/** What is awaited, from whom, and the due date that bounds the wait. */
interface Wait {
  readonly what: string;
  readonly who: string;
  readonly until: DuePurpose;
  /** Set off by the last fact of the task. */
  readonly driven?: true;
}

/** What must happen next, who does it, and by when at the latest. Null: the task is settled, nothing will. */
export function nextOf(task: Task, around: Around): Next | null {
  if (isSettled(task)) return null;
  const { what, who, until, driven } = waitOf(task, around);
  const on = driven && drivingFact(task);
  const by = task.due[until] ?? earliestDue(task);
  const purpose = task.due[until] === undefined ? earliestPurpose(task) : until;
  return {
    what,
    who,
    ...(on ? { on } : {}),
    ...(by === undefined ? {} : { by }),
    otherwise: purpose ? dueText(purpose, task.compute) : 'nothing is due',
  };
}

function waitOf(task: Task, around: Around): Wait {
  switch (task.status) {
    case 'SUBMITTED':
      return awaitsScreening(task, 'request')
        ? step('the request is screened', 'screen-task')
        : step('a slot is asked for', 'admit-task');
    case 'QUEUED':
      return inLine(task, around.slot);
    case 'ADMITTED':
      return preparing(task);
    case 'HYDRATED':
      return step(`the run is handed to its back end${troubleOf(task)}`, `start-run-on-${task.compute}`);
    case 'STARTING':
      return {
        what: 'the run gives its first sign of life',
        who: beats(task) ? 'the runner' : `the back end (${task.compute}) or the runner`,
        until: 'start',
      };
    case 'RUNNING': {
      const isAwaited = task.due.progress !== undefined && around.record?.firstOutputAt === undefined;
      return isAwaited
        ? { what: 'the agent says its first word', who: 'the agent', until: 'progress' }
        : { what: `the agent ends, and its runner reports${lifeOf(task)}`, who: 'the runner', until: 'deadline' };
    }
    case 'FINALIZING':
      return { what: 'the report arrives; the run has exited', who: 'the runner', until: 'report' };
    case 'STOPPING':
      return stopping(task, around);
    case 'BACKOFF':
      return backingOff(task);
    case 'COMPLETED':
    case 'FAILED':
    case 'CANCELLED':
    case 'TIMED_OUT':
      return settling(task);
  }
}

/** A rule that takes the last fact up. */
const step = (what: string, who: string): Wait => ({ what, who, until: 'step', driven: true });

function inLine({ slotKey }: TaskIn<'QUEUED'>, slot: ExplainedSlot): Wait {
  switch (slot.standing) {
    case 'waits': {
      const place = slot.place === undefined ? '' : `: place ${slot.place} in line since ${slot.since ?? 'then'}`;
      const full = `${slot.holding} of ${slot.limit ?? slot.holding} are held`;
      const what = `a slot of "${slotKey}" becomes free${place}; ${full}`;
      return { what, who: 'a task that holds one, as it settles or backs off', until: 'deadline' };
    }
    case 'granted':
    case 'holds':
      return { what: `the task hears that it has a slot of "${slotKey}"`, who: 'admit-waiter', until: 'queue' };
    case 'none':
      return { what: `the key "${slotKey}" is checked`, who: 'wake-task', until: 'queue' };
  }
}

/** Why it was not done yet. */
const troubleOf = ({ delay }: Task): string => (delay ? `; at ${delay.at} it could not be: ${delay.message}` : '');

function preparing(task: TaskIn<'ADMITTED'>): Wait {
  if (awaitsContext(task)) {
    return step(`the text of the issue or pull request is fetched${troubleOf(task)}`, 'fetch-context');
  }
  if (awaitsScreening(task, 'context')) return step('the text that was fetched is screened', 'screen-task');
  return step('the input of the run is stored', 'hydrate-task');
}

function stopping(task: TaskIn<'STOPPING'>, { record, at }: Around): Wait {
  const then = afterStop(task, record, at);
  if (task.run.ended)
    return { what: `the stop is closed; then ${then}`, who: 'close-stop', until: 'stop', driven: true };
  const asked = task.run.stopRequests ?? 0;
  const what = `${endOf(task)} (stops answered: ${asked}); then ${then}`;
  return { what, who: whoTells(task), until: 'proof', driven: true };
}

/** Where a stop leads to, as it would be decided now. Only when the next attempt comes depends on the timings, and that is not told. */
function afterStop(task: TaskIn<'STOPPING'>, record: RunRecord | undefined, at: string): string {
  const ended = task.run.ended ?? { at, proof: 'proven' as const };
  const move = closeStop({ ...task, run: { ...task.run, ended } }, record, at, awsTimings, 'event');
  if (move.kind !== 'step') return 'it is decided';
  switch (move.name) {
    case 'complete':
      return 'the task is COMPLETED, as its report says';
    case 'cancel':
      return 'the task is CANCELLED';
    case 'expire':
      return 'the task is TIMED_OUT';
    case 'backOff':
      return task.resumeAt === undefined
        ? `attempt ${task.attempt + 1} follows after a wait`
        : `attempt ${task.attempt + 1} follows when its pause is over, at ${task.resumeAt}`;
    default:
      return attemptsUsed(task) < task.attempts ? 'the task is FAILED' : 'the task is FAILED: no attempt is left';
  }
}

function backingOff({ attempt, resumeAt }: TaskIn<'BACKOFF'>): Wait {
  const why = resumeAt === undefined ? '' : `; it pauses until ${resumeAt}`;
  return { what: `attempt ${attempt + 1} asks for its slot${why}`, who: 'the alarm clock', until: 'backoff' };
}

/** When signs of life are looked at again, where nothing but these tells that a run is there. */
const lifeOf = ({ due }: Task): string =>
  due.life === undefined ? '' : `; until then it gives signs of life, which are looked at next at ${due.life}`;

const endOf = (task: Task): string =>
  beats(task) ? 'a stop finds nothing left of the run' : 'the end of the run is seen';

const whoTells = (task: Task): string =>
  beats(task) ? `the back end (${task.compute}), when it is asked to stop the run` : `the back end (${task.compute})`;

/** Settling needs both: the terminal fact delivered, and the compute ended. */
function settling(task: TerminalTask): Wait {
  const isTold = task.history.at(-1)?.proven === true;
  const run = runOf(task);
  if (!computeIsOver(task) && run) {
    const exit = task.due.exit === undefined ? 'a stop was asked for' : `it is stopped at ${task.due.exit}`;
    const told = isTold ? '' : ', and the last fact is delivered';
    return {
      what: `${endOf(task)} (${exit})${told}; then the task is settled`,
      who: whoTells(task),
      until: 'proof',
    };
  }
  return isTold
    ? { what: 'the task is settled', who: 'settle-task', until: 'settle' }
    : {
        what: 'the last fact is delivered; then the task is settled',
        who: 'settle-task',
        until: 'settle',
        driven: true,
      };
}

/** Id of the fact on whose delivery the next step depends. */
function drivingFact({ history }: Task): string | undefined {
  const facts = history.at(-1)?.facts ?? [];
  return (facts.find(({ type }) => eventOf(type)?.drives) ?? facts.at(-1))?.id;
}

function earliestPurpose(task: Task): DuePurpose | undefined {
  const earliest = earliestDue(task);
  return (Object.keys(task.due) as DuePurpose[]).find((purpose) => task.due[purpose] === earliest);
}

import { type Context, earliestDue, follow, touch } from '../lifecycle/evolve.ts';
import { type Mark, type Move, mark, type Step } from '../lifecycle/move.ts';
import { isSettled, isTerminal, runOf } from '../lifecycle/states.ts';
import type { Timings } from '../lifecycle/timings.ts';
import type { Cause } from '../schemas/envelope.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import type { HistoryEntry, Rejection, Task } from '../schemas/task.ts';
import { BatonError } from './errors.ts';
import { type Already, type Outcome, refused, said } from './outcome.ts';
import type { Accepted, Alarms, Clock, Moment, RecordStore, Runs, StoredRecord, Tasks } from './ports.ts';
import { entryEvents, noteEvents } from './published.ts';
import { DECIDE_TRIES, taskKey } from './records.ts';

export interface TasksOver {
  readonly store: RecordStore;
  readonly alarms: Alarms;
  readonly runs: Pick<Runs, 'get' | 'forbidClaim' | 'close'>;
  readonly clock: Clock;
  readonly timings: () => Timings;
}

/** The tasks port over any record store: read, decide, set the clock, write once. */
export function tasksOver({ store, alarms, runs, clock, timings }: TasksOver): Tasks {
  return { get, accept, reject, decide };

  async function get(taskId: string): Promise<Task | undefined> {
    return taskIn(await store.get(taskKey(taskId)));
  }

  async function accept(task: Task): Promise<Accepted> {
    const armed = await withAlarm(task, undefined);
    const written = await store.put(taskKey(task.taskId), armed, 'absent', indexOf(armed));
    if (written.outcome === 'written') {
      await ringAgain(armed);
      return { kind: 'moved', task: armed, events: firstEvents(armed) };
    }
    const known = written.current?.value as Task | Rejection;
    const reused = known.requestHash !== task.requestHash;
    if (known.status !== 'REJECTED') await ringIfOverdue(known);
    return { kind: 'already', known, reused, outcome: await knownOutcome(known) };
  }

  async function reject(rejection: Rejection): Promise<Outcome> {
    const index = { by: rejection.userId, at: rejection.at, open: false };
    const written = await store.put(taskKey(rejection.taskId), rejection, 'absent', index);
    if (written.outcome === 'written') return said([]);
    // The same request again: whoever stored its rejection may have ended before saying so.
    const known = written.current?.value as Task | Rejection | undefined;
    const again = known?.status === 'REJECTED' && known.cause.id === rejection.cause.id;
    return refused(again ? 'rejected_already' : 'answered_already');
  }

  async function decide(taskId: string, cause: Cause, decision: Parameters<Tasks['decide']>[2]): Promise<Outcome> {
    let unsure = false;
    for (let tries = 0; tries < DECIDE_TRIES; tries++) {
      const stored = await store.get(taskKey(taskId));
      const task = taskIn(stored);
      if (!stored || !task) return refused('unknown_task');
      // An alarm that was set again for the very time at which it rang has something new to do.
      if (consumedBy(cause, task) !== RUNG) {
        await ringIfOverdue(task);
        const entry = task.history.find((old) => old.cause.id === cause.id);
        // The step may be this call's own, of which only the answer was lost: then nobody has said its facts.
        if (entry && unsure) return { kind: 'moved', task, events: entryEvents(task, entry) };
        if (entry) return alreadyOutcome(task, entry);
      }
      const record = runOf(task) ? await runs.get(taskId, task.attempt) : undefined;
      const moment: Moment = { at: clock.now(), timings: timings() };
      const move = decision(task, record, moment);
      const context: Context = { cause, ...moment };
      if (record && endsNow(task, move) && !record.claim && !record.noClaim) {
        // A run that nobody claimed has ended only when nobody can claim it any more: forbid it, and look again.
        await runs.forbidClaim(task.taskId, task.attempt);
        continue;
      }
      if (record && !record.closed && leavesStopping(task, move)) {
        // Closed before the attempt is over, and looked at again: what its runner stored until then still counts.
        await runs.close(task.taskId, task.attempt);
        continue;
      }
      switch (move.kind) {
        case 'ignore': {
          // An alarm that found nothing to do was still the one that was set: its successor must be.
          if (consumedBy(cause, task) !== RUNG || isSettled(task)) return refused(move.reason, task);
          const outcome = await commitMark(task, stored.revision, mark({}), context, record);
          if (outcome) return refused(move.reason, outcome.kind === 'moved' ? outcome.task : task);
          break;
        }
        case 'repeat':
          return {
            kind: 'already',
            task,
            events: [
              ...move.again.flatMap((one) => entryEvents(task, one)),
              ...noteEvents(task, move.notes, cause, moment.at),
            ],
            committedAt: task.history.at(-1)?.at ?? moment.at,
          };
        case 'mark': {
          const outcome = await commitMark(task, stored.revision, move, context, record);
          if (outcome) return outcome;
          break;
        }
        case 'step': {
          const outcome = await commitStep(task, stored.revision, move, context, record);
          if (outcome !== 'lost' && outcome !== 'unsure') return outcome;
          unsure ||= outcome === 'unsure';
          break;
        }
      }
    }
    throw new BatonError(
      'contention',
      `task ${taskId} was written by others ${DECIDE_TRIES} times while "${cause.type}" was decided`,
    );
  }

  async function commitStep(
    task: Task,
    revision: number,
    move: Step,
    context: Context,
    record: RunRecord | undefined,
  ): Promise<Outcome | 'lost' | 'unsure'> {
    const followed = follow(task, move, context);
    const next = await withAlarm(followed, consumedBy(context.cause, task));
    const written = await store.put(taskKey(task.taskId), next, revision, indexOf(next));
    if (written.outcome === 'conflict') return written.unsure ? 'unsure' : 'lost';
    await ringAgain(next);
    await keepUnclaimed(next, record);
    const entry = next.history.at(-1);
    return { kind: 'moved', task: next, events: entry ? entryEvents(next, entry) : [] };
  }

  async function commitMark(
    task: Task,
    revision: number,
    move: Mark,
    context: Context,
    record: RunRecord | undefined,
  ): Promise<Outcome | undefined> {
    await keepUnclaimed(task, record);
    const events = [
      ...(move.again ?? []).flatMap((entry) => entryEvents(task, entry)),
      ...noteEvents(task, move.notes, context.cause, context.at),
    ];
    if (isEmpty(move) && consumedBy(context.cause, task) !== RUNG) return { kind: 'moved', task, events };
    const next = await withAlarm(touch(task, move, context.cause), consumedBy(context.cause, task));
    const written = await store.put(taskKey(task.taskId), next, revision, indexOf(next));
    if (written.outcome === 'conflict') return undefined;
    await ringAgain(next);
    return { kind: 'moved', task: next, events };
  }

  /** Nobody may claim a run that stops or is over. A claim is for ever: where there is one, nobody else can. */
  async function keepUnclaimed(task: Task, record: RunRecord | undefined): Promise<void> {
    if (!runOf(task) || record?.claim || record?.noClaim) return;
    if (task.status === 'STOPPING' || isTerminal(task)) await runs.forbidClaim(task.taskId, task.attempt);
  }

  /** Sets the alarm clock for the earliest due date, unless it is known to be set early enough. */
  async function withAlarm(task: Task, armedAt = task.armedAt): Promise<Task> {
    const earliest = earliestDue(task);
    if (earliest === undefined || (armedAt !== undefined && armedAt !== RUNG && armedAt <= earliest)) return task;
    await alarms.arm(task.taskId, earliest);
    return { ...task, armedAt: earliest };
  }

  /**
   * After a write: an alarm whose time has passed may have rung before the write that it was set for, and found nothing due. It is set
   * again. Where its wake-up is still under way, a second one does no harm.
   */
  async function ringAgain(task: Task, lateBySeconds = 0): Promise<void> {
    const { taskId, armedAt } = task;
    if (armedAt === undefined || isSettled(task)) return;
    if (Date.parse(armedAt) + lateBySeconds * 1000 <= Date.parse(clock.now())) await alarms.arm(taskId, armedAt);
  }

  /**
   * Before a decision: who wrote last may have ended before it rang again. That shows in a wake-up that is late by more than a retry
   * takes to come; whoever rang earlier would, in a burst, set the same alarm once for every event that meets it on its way.
   */
  function ringIfOverdue(task: Task): Promise<void> {
    return ringAgain(task, timings().REPUBLISH_AGE_S);
  }

  async function knownOutcome(known: Task | Rejection): Promise<Outcome> {
    if (known.status === 'REJECTED') return refused('rejected_before');
    const first = known.history[0];
    return first ? alreadyOutcome(known, first) : refused('unknown_task');
  }
}

/** Stands for an armed time that has just rung: the next one must be set. */
const RUNG = '';

/** The alarm that is being handled is no longer set. */
function consumedBy(cause: Cause, task: Task): string | undefined {
  return cause.id === alarmId(task.taskId, task.armedAt ?? '') ? RUNG : task.armedAt;
}

/** Id of a wake-up: task and time, so that racers who set the same alarm set one. */
export const alarmId = (taskId: string, at: string): string => `alarm#${taskId}#${at}`;

/** The move closes a stop. */
const leavesStopping = (task: Task, move: Move): boolean =>
  task.status === 'STOPPING' && move.kind === 'step' && move.name !== 'redirect';

/** The move says that the run has ended, which was not known before. */
function endsNow(task: Task, move: Move): boolean {
  const run =
    move.kind === 'mark' ? move.run : move.kind === 'step' && 'run' in move.bring ? move.bring.run : undefined;
  return run?.ended !== undefined && runOf(task)?.ended === undefined;
}

const isEmpty = (move: Mark): boolean =>
  !move.run && !move.settledAt && !move.proven?.length && Object.keys(move.due ?? {}).length === 0;

const alreadyOutcome = (task: Task, entry: HistoryEntry): Already => ({
  kind: 'already',
  task,
  events: entryEvents(task, entry),
  committedAt: entry.at,
});

const firstEvents = (task: Task) => {
  const first = task.history[0];
  return first ? entryEvents(task, first) : [];
};

/** The task that stands in a record; none where a rejection or nothing does. */
export const taskIn = (stored: StoredRecord | undefined): Task | undefined => {
  const value = stored?.value as Task | Rejection | undefined;
  return value && value.status !== 'REJECTED' ? value : undefined;
};

const indexOf = (task: Task) => ({ by: task.userId, at: task.submittedAt, open: !isSettled(task) });

import { taskFailed } from '../events/task-failed.ts';
import { taskQueued } from '../events/task-queued.ts';
import { admission, awaitsScreening } from '../lifecycle/admission.ts';
import { ignore, type Move, step } from '../lifecycle/move.ts';
import { isStale } from '../lifecycle/slot-decisions.ts';
import { admitTask as rule } from '../rules/admit-task.ts';
import { refused } from '../runtime/outcome.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { because } from '../schemas/reason.ts';
import { leaseOf } from '../schemas/slot.ts';
import type { Task } from '../schemas/task.ts';

/**
 * Asks for a slot and admits the task, or lets it wait. Twice is harmless: a lease takes one place however often it asks, and
 * only the version that asked moves.
 */
export const admitTask = react(rule, async (event, { tasks, slots }, { mayRepeat }) => {
  const { taskId, version, correlationId } = subject(event);
  const cause = causeOf(event);
  const task = await tasks.get(taskId);
  if (!task) return refused('unknown_task');
  if (task.version !== version) {
    const known = await tasks.decide(taskId, cause, () => ignore('task_has_moved_on'));
    if (known.kind !== 'already' || !mayRepeat(known)) return known;
    // The first delivery may have ended before it said to others that they got the places it cleared. Saying so again must not take up a
    // grant of this task that nobody has said yet.
    const said = awaitsSlot(known.task)
      ? slots.check(task.slotKey, cause)
      : slots.confirm(task.slotKey, leaseOf(taskId, task.attempt), cause);
    return [known, await said];
  }

  if (awaitsScreening(task, 'request')) return refused('awaits_screening');
  const lease = wantedLease(task);
  const taken = await slots.take(task.slotKey, lease, { priority: task.priority, cause, correlationId });
  const outcome = await tasks.decide(taskId, cause, (now) =>
    answer(now, { version, lease, got: taken.answer, position: taken.position ?? 1 }),
  );
  // A slot that came when the task had no use for it any more goes back at once, not when somebody needs it.
  const now = outcome.kind === 'refused' || outcome.kind === 'already' ? outcome.task : undefined;
  const isUnused = now !== undefined && isStale(lease, now);
  return isUnused ? [outcome, taken.said, await slots.release(task.slotKey, lease, cause)] : [outcome, taken.said];
});

const awaitsSlot = ({ status }: Task): boolean => status === 'SUBMITTED' || status === 'QUEUED' || status === 'BACKOFF';

/** The lease under which a task waits for, or takes, its next slot. */
const wantedLease = (task: Task): string =>
  leaseOf(task.taskId, task.status === 'BACKOFF' ? task.attempt + 1 : task.attempt);

interface Taken {
  /** The version that asked. */
  readonly version: number;
  readonly lease: string;
  readonly got: 'held' | 'waiting' | 'full';
  readonly position: number;
}

function answer(task: Task, { version, lease, got, position }: Taken): Move {
  switch (got) {
    case 'held':
      if (!awaitsSlot(task)) return ignore('task_has_moved_on');
      // The attempt that asked may have been lost meanwhile: its slot is no slot of the next one.
      if (wantedLease(task) !== lease) return ignore('task_has_moved_on');
      return step('admit', {}, [admission(task, task.slotKey)]);
    case 'waiting':
      if (task.version !== version) return ignore('task_has_moved_on');
      return step('queue', {}, [taskQueued.of({ slotKey: task.slotKey, position })]);
    case 'full': {
      if (task.version !== version) return ignore('task_has_moved_on');
      const reason = because('queue_full', `Key "${task.slotKey}" has as many waiting tasks as it may have.`);
      return step('fail', { reason, detectedBy: 'event' }, [taskFailed.of({ reason })]);
    }
  }
}

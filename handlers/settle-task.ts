import { ignore } from '../lifecycle/move.ts';
import { canSettle, settle } from '../lifecycle/settle.ts';
import { isSettled, runOf } from '../lifecycle/states.ts';
import { settleTask as rule } from '../rules/settle-task.ts';
import { type Outcome, refused } from '../runtime/outcome.ts';
import { causeOf, react, subject } from '../runtime/react.ts';
import { leaseOf } from '../schemas/slot.ts';
import type { Task } from '../schemas/task.ts';

/** Only what was given back may settle: when the compute ended between the look and the write, it is looked at again, once. */
const ENDED_MEANWHILE = 'compute_ended_meanwhile';
const LOOKS_MAX = 2;

/**
 * Notes that the terminal fact was delivered; once the compute has ended too, returns the slot, deletes the payload, closes the
 * run's record and settles the task. Twice is harmless: each of these does nothing the second time.
 */
export const settleTask = react(rule, async (event, { tasks, slots, runs, payloads }, { mayRepeat, isReplay }) => {
  const { taskId } = subject(event);
  const cause = causeOf(event);
  const told = event['detail-type'] !== 'RunEnded' && !isReplay;
  const outcomes: Outcome[] = [];
  for (let look = 1; look <= LOOKS_MAX; look++) {
    const task = await tasks.get(taskId);
    if (!task) return refused('unknown_task');
    const ready = canSettle(task, told);
    // Who listens is told when it settles, and a replay tells nobody: the task's own alarm settles it.
    if (ready && isReplay) return refused('left_to_its_alarm', task);
    if (ready) await giveBack(task);
    // The first delivery may have ended between giving the slot to the next and saying so.
    else if (isSettled(task) && mayRepeat({ committedAt: task.history.at(-1)?.at ?? event.time }))
      await returnSlots(task);
    const outcome = await tasks.decide(taskId, cause, (now, record, { at }) =>
      !ready && canSettle(now, told) ? ignore(ENDED_MEANWHILE) : settle(now, record, at, told),
    );
    if (outcome.kind === 'refused' && outcome.reason === ENDED_MEANWHILE) continue;
    return [...outcomes, outcome];
  }
  return outcomes;

  async function giveBack(task: Task): Promise<void> {
    await returnSlots(task);
    const kept = [task.promptRef, ...(task.contextRef === undefined ? [] : [task.contextRef]), ...(task.inputs ?? [])];
    for (const ref of kept) await payloads.delete(ref);
    // A fetch that died before the task could name its text left one that nobody knows.
    if (task.context !== undefined) await payloads.forget(taskId);
    // Its input was prepared, and so the record of its run, whether it ever ran or not.
    if (runOf(task) || task.inputs?.length) await runs.close(taskId, task.attempt);
  }

  async function returnSlots(task: Task): Promise<void> {
    // A next attempt that was just asking for its slot when the task ended may hold one as well.
    outcomes.push(await slots.release(task.slotKey, leaseOf(taskId, task.attempt), cause));
    if (!runOf(task)) outcomes.push(await slots.release(task.slotKey, leaseOf(taskId, task.attempt + 1), cause));
  }
});

import { slotGranted } from '../../events/slot-granted.ts';
import { taskSettled } from '../../events/task-settled.ts';
import { isSettled, isTerminal } from '../../lifecycle/states.ts';
import type { Envelope, Metadata } from '../../schemas/envelope.ts';
import { leaseOf, type Slot } from '../../schemas/slot.ts';
import type { Task } from '../../schemas/task.ts';
import type { RecordStore } from '../ports.ts';
import { slotKey, taskKey } from '../records.ts';
import { taskIn } from '../tasks.ts';

/**
 * Whether an event tells of a step that a crash took back: a version that its task does not have, an end that is not settled, or a grant
 * that no slot knows and no task took up. Ask it before anything moves: a step that is made once more has the version of the one that was lost.
 */
export const undoneIn =
  (store: Pick<RecordStore, 'get'>) =>
  async (event: Envelope): Promise<boolean> => {
    const { metadata: { taskId, version } = {}, data } = event.detail as {
      metadata?: Partial<Metadata>;
      data?: unknown;
    };
    if (event.source !== 'baton' || taskId === undefined) return false;
    if (event['detail-type'] === slotGranted.type) return isUndoneGrant(event.id, slotGranted.schema.parse(data));
    if (version === undefined) return false;
    const task = await taskOf(taskId);
    if (!task || version > task.version) return true;
    return event['detail-type'] === taskSettled.type && !isSettled(task);

    async function taskOf(id: string): Promise<Task | undefined> {
      return taskIn(await store.get(taskKey(id)));
    }

    async function isUndoneGrant(id: string, granted: { slotKey: string; taskId: string; attempt: number }) {
      const { slotKey: key, taskId: waiter, attempt } = granted;
      const slot = (await store.get(slotKey(key)))?.value as Slot | undefined;
      if (slot?.holders[leaseOf(waiter, attempt)]) return false;
      const task = await taskOf(waiter);
      if (!task) return true;
      // Taken up, or of an attempt that is over: there it says what was, and moves nothing.
      if (task.attempt > attempt || isTerminal(task)) return false;
      return !task.history.some(({ cause }) => cause.id === id);
    }
  };

import { taskAdmitted } from '../events/task-admitted.ts';
import type { ScreenedText } from '../schemas/screening.ts';
import type { Task } from '../schemas/task.ts';

/** The fact that a task holds its slot. It says whether a text has to be fetched first, which is done once for all attempts. */
export const admission = (task: Task, slotKey: string) =>
  taskAdmitted.of({
    slotKey,
    ...(awaitsContext(task) ? { context: 'required' as const } : {}),
  });

/** Whether the text that the task names still has to be fetched. */
export const awaitsContext = (task: Task): boolean => task.context !== undefined && task.contextRef === undefined;

/** Whether a text of the task still has to pass screening. What is asked for must have passed before a slot, the rest before the input. */
export const awaitsScreening = (task: Task, of: ScreenedText): boolean =>
  task.screening === 'required' && !task.screened?.includes(of) && (of === 'request' || task.contextRef !== undefined);

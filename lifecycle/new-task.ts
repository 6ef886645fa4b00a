import { taskSubmitted } from '../events/task-submitted.ts';
import type { TaskIn } from '../schemas/task.ts';
import { type Context, factId, later } from './evolve.ts';

/** The first state of a task. */
export function newTask(
  fields: Omit<TaskIn<'SUBMITTED'>, 'status' | 'version' | 'attempt' | 'due' | 'history' | 'armedAt'>,
  { cause, at, timings }: Context,
): TaskIn<'SUBMITTED'> {
  const fact = taskSubmitted.of({
    userId: fields.userId,
    repository: fields.repository,
    compute: fields.compute,
    deadlineAt: fields.deadlineAt,
    ...(fields.screening ? { screening: fields.screening } : {}),
  });
  return {
    ...fields,
    status: 'SUBMITTED',
    version: 1,
    attempt: 1,
    due: { step: later(at, timings.STEP_RETRY_S), deadline: fields.deadlineAt },
    history: [
      {
        transition: 'accept',
        from: null,
        to: 'SUBMITTED',
        at,
        version: 1,
        attempt: 1,
        cause,
        facts: [
          {
            id: factId(fields.taskId, 1, fact.type),
            type: fact.type,
            schemaVersion: taskSubmitted.version,
            data: fact.data,
          },
        ],
      },
    ],
  };
}

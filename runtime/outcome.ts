import type { BatonEvent } from '../schemas/envelope.ts';
import type { Task } from '../schemas/task.ts';

/** The write was made now; its facts are to be published. */
export interface Moved {
  readonly kind: 'moved';
  readonly task: Task;
  readonly events: readonly BatonEvent[];
}

/** This cause was handled before. `react` decides whether its facts are published again. */
export interface Already {
  readonly kind: 'already';
  readonly task: Task;
  readonly events: readonly BatonEvent[];
  readonly committedAt: string;
}

/** Nothing was written, and why. */
export interface Refused {
  readonly kind: 'refused';
  readonly reason: string;
  readonly task?: Task;
}

/** Facts beside the task's own (grants of a slot, rejections). */
export interface Said {
  readonly kind: 'said';
  readonly events: readonly BatonEvent[];
}

export type Outcome = Moved | Already | Refused | Said;

export const refused = (reason: string, task?: Task): Refused => ({
  kind: 'refused',
  reason,
  ...(task ? { task } : {}),
});

export const said = (events: readonly BatonEvent[]): Said => ({ kind: 'said', events });

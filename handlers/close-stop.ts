import { closeStop as closed } from '../lifecycle/close-stop.ts';
import { closeStop as rule } from '../rules/close-stop.ts';
import { causeOf, react, subject } from '../runtime/react.ts';

/** Closes a stop once the run has ended. Twice is harmless: a stop that is closed is no stop any more. */
export const closeStop = react(rule, async (event, { tasks }) =>
  tasks.decide(subject(event).taskId, causeOf(event), (task, record, { at, timings }) =>
    closed(task, record, at, timings, 'event'),
  ),
);

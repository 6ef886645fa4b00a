import { type Compute, losesEvents } from '../schemas/compute.ts';
import type { DuePurpose } from '../schemas/task.ts';

/** What happens when a due date of a task on this back end passes, for people. */
export const dueText = (purpose: DuePurpose, compute: Compute): string =>
  purpose === 'life' && losesEvents[compute] ? 'its back end is asked about it' : dueWords[purpose];

const dueWords: Readonly<Record<DuePurpose, string>> = {
  step: 'the last step is repeated if nobody took it up',
  queue: 'the place in line is checked',
  start: 'the back end is asked about the start',
  progress: 'the run counts as lost if its agent has said nothing yet',
  life: 'its signs of life are looked at',
  deadline: 'the task times out',
  report: 'the wait for the report ends',
  stop: 'the stop is repeated',
  proof: 'the run is given up as an orphan',
  backoff: 'the next attempt begins',
  exit: 'the run is stopped if it still lives',
  settle: 'the last facts are published again',
};

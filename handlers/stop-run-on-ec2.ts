import { stopRunOnEc2 as rule } from '../rules/stop-run-on-ec2.ts';
import { react } from '../runtime/react.ts';
import { stopRun } from '../runtime/run-steps.ts';
import { workersTold } from '../runtime/worker-steps.ts';

/**
 * Stops a run on a worker, and whatever else runs for its attempt. Twice is harmless: cancelling what is cancelled changes nothing, and an
 * end that is proven is proven.
 */
export const stopRunOnEc2 = react(rule, async (event, { tasks, runs, workers, ec2 }) =>
  workersTold(event, { tasks, workers }, await stopRun(event, { tasks, runs }, ec2)),
);

import { checkRunOnEc2 as rule } from '../rules/check-run-on-ec2.ts';
import { react } from '../runtime/react.ts';
import { checkRun } from '../runtime/run-steps.ts';
import { workersTold } from '../runtime/worker-steps.ts';

/** Asks Systems Manager once about an overdue run and judges the answer. Twice is harmless: judging the same again changes nothing. */
export const checkRunOnEc2 = react(rule, async (event, { tasks, workers, ec2 }) =>
  workersTold(event, { tasks, workers }, await checkRun(event, { tasks }, ec2)),
);

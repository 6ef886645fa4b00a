import { ssmCommandInvocation } from '../events/aws/ssm-command-invocation.ts';
import { runEnded } from '../events/run-ended.ts';
import { runExited } from '../events/run-exited.ts';
import { runStarted } from '../events/run-started.ts';
import { runStopRequested } from '../events/run-stop-requested.ts';
import { taskCompleted } from '../events/task-completed.ts';
import { taskFailed } from '../events/task-failed.ts';
import { workerQuarantined } from '../events/worker-quarantined.ts';
import { defineRule } from './rule.ts';

export const observeRunCommand = defineRule({
  name: 'observe-run-command',
  summary: 'Judges what Systems Manager says about a command on a worker.',
  on: [ssmCommandInvocation],
  where: { 'document-name': [{ prefix: 'baton' }] },
  emits: [runStarted, runExited, runEnded, runStopRequested, taskCompleted, taskFailed, workerQuarantined],
  uses: ['tasks', 'workers', 'ec2'],
  kind: 'state',
  delivery: 'queue',
});

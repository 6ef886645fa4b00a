import type { Reaction } from '../runtime/react.ts';
import { acceptTask } from './accept-task.ts';
import { admitTask } from './admit-task.ts';
import { admitWaiter } from './admit-waiter.ts';
import { announceOrphan } from './announce-orphan.ts';
import { applyLimit } from './apply-limit.ts';
import { cancelTask } from './cancel-task.ts';
import { checkRunOnAgentcore } from './check-run-on-agentcore.ts';
import { checkRunOnEc2 } from './check-run-on-ec2.ts';
import { checkRunOnEcs } from './check-run-on-ecs.ts';
import { closeStop } from './close-stop.ts';
import { configureRepository } from './configure-repository.ts';
import { confirmStart } from './confirm-start.ts';
import { excludeWorker } from './exclude-worker.ts';
import { fetchContext } from './fetch-context.ts';
import { heedSpotWarning } from './heed-spot-warning.ts';
import { heedTermination } from './heed-termination.ts';
import { hydrateTask } from './hydrate-task.ts';
import { judgeReportOfRun } from './judge-report.ts';
import { noteMachine } from './note-machine.ts';
import { observeEcsTask } from './observe-ecs-task.ts';
import { observeInstance } from './observe-instance.ts';
import { observeRunCommand } from './observe-run-command.ts';
import { postWebhook } from './post-webhook.ts';
import { registerWorker } from './register-worker.ts';
import { replaceWorker } from './replace-worker.ts';
import { returnSlot } from './return-slot.ts';
import { returnWorker } from './return-worker.ts';
import { screenTask } from './screen-task.ts';
import { settleTask } from './settle-task.ts';
import { startRunOnAgentcore } from './start-run-on-agentcore.ts';
import { startRunOnEc2 } from './start-run-on-ec2.ts';
import { startRunOnEcs } from './start-run-on-ecs.ts';
import { stopRunOnAgentcore } from './stop-run-on-agentcore.ts';
import { stopRunOnEc2 } from './stop-run-on-ec2.ts';
import { stopRunOnEcs } from './stop-run-on-ecs.ts';
import { takeProgress } from './take-progress.ts';
import { wakeTask } from './wake-task.ts';

/** Every reaction; worlds wire them up, generated Lambda entries take one each. */
export const reactions: readonly Reaction[] = [
  acceptTask,
  screenTask,
  admitTask,
  admitWaiter,
  fetchContext,
  hydrateTask,
  startRunOnAgentcore,
  startRunOnEcs,
  startRunOnEc2,
  noteMachine,
  observeEcsTask,
  observeRunCommand,
  observeInstance,
  heedSpotWarning,
  heedTermination,
  confirmStart,
  takeProgress,
  judgeReportOfRun,
  announceOrphan,
  cancelTask,
  stopRunOnAgentcore,
  stopRunOnEcs,
  stopRunOnEc2,
  checkRunOnAgentcore,
  checkRunOnEcs,
  checkRunOnEc2,
  closeStop,
  returnSlot,
  returnWorker,
  settleTask,
  postWebhook,
  configureRepository,
  applyLimit,
  registerWorker,
  excludeWorker,
  replaceWorker,
  wakeTask,
];

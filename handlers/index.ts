import type { Reaction } from '../runtime/react.ts';
import { acceptTask } from './accept-task.ts';
import { admitTask } from './admit-task.ts';
import { admitWaiter } from './admit-waiter.ts';
import { announceOrphan } from './announce-orphan.ts';
import { applyLimit } from './apply-limit.ts';
import { cancelTask } from './cancel-task.ts';
import { checkRunOnAgentcore } from './check-run-on-agentcore.ts';
import { checkRunOnEcs } from './check-run-on-ecs.ts';
import { closeStop } from './close-stop.ts';
import { configureRepository } from './configure-repository.ts';
import { confirmStart } from './confirm-start.ts';
import { fetchContext } from './fetch-context.ts';
import { hydrateTask } from './hydrate-task.ts';
import { judgeReportOfRun } from './judge-report.ts';
import { observeEcsTask } from './observe-ecs-task.ts';
import { postWebhook } from './post-webhook.ts';
import { returnSlot } from './return-slot.ts';
import { screenTask } from './screen-task.ts';
import { settleTask } from './settle-task.ts';
import { startRunOnAgentcore } from './start-run-on-agentcore.ts';
import { startRunOnEcs } from './start-run-on-ecs.ts';
import { stopRunOnAgentcore } from './stop-run-on-agentcore.ts';
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
  observeEcsTask,
  confirmStart,
  takeProgress,
  judgeReportOfRun,
  announceOrphan,
  cancelTask,
  stopRunOnAgentcore,
  stopRunOnEcs,
  checkRunOnAgentcore,
  checkRunOnEcs,
  closeStop,
  returnSlot,
  settleTask,
  postWebhook,
  configureRepository,
  applyLimit,
  wakeTask,
];

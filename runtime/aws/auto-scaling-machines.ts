import {
  type AutoScalingClient,
  type AutoScalingInstanceDetails,
  CompleteLifecycleActionCommand,
  DescribeAutoScalingInstancesCommand,
  SetInstanceProtectionCommand,
  TerminateInstanceInAutoScalingGroupCommand,
} from '@aws-sdk/client-auto-scaling';
import { fleetGroupOf, type LifecycleHook, lifecycleHooks } from '../../schemas/worker.ts';
import type { Machines, WorkerAnnounced } from '../ports.ts';
import { computeError, sdkError } from './sdk-errors.ts';

/** Lifecycle state of one that is gone and still listed (Auto Scaling user guide, instance lifecycle). */
const TERMINATED = 'Terminated';
/** How the lifecycle states of one begin that is being taken away, and of one that is not in service yet. */
const TERMINATING = 'Terminating';
const PENDING = 'Pending';

/**
 * What Auto Scaling says of a machine that is not, or not now, as it must be for the call; the API reference names no errors of their own
 * for these. "Instance Id not found - No managed instance found for instance ID: i-…"; "The instance i-… is not part of Auto Scaling group
 * …"; "The instance i-… is not in InService or EnteringStandby or Standby."; "No active Lifecycle Action found with instance ID i-…". That
 * there is no such group is none of these: it is a mistake that must be seen.
 */
const UNKNOWN = /instance id not found|no managed instance|is not part of auto ?scaling group/i;
const NOT_IN_SERVICE = /is not in InService/i;
const NO_ACTION = /no active lifecycle action/i;

/** Machines of the Auto Scaling groups of a stage: they keep their number, so what is taken away is replaced. */
export function autoScalingMachines(client: AutoScalingClient, stage: string): Machines {
  return {
    isThere,
    replace,
    protect,
    proceed: (machine, to) => answered(machine, to, 'CONTINUE').then(() => undefined),
  };

  async function isThere(worker: string, fleet: string): Promise<boolean> {
    const found = await described(worker);
    if (!found || found.LifecycleState === TERMINATED) return false;
    return found.AutoScalingGroupName === fleetGroupOf(stage, fleet);
  }

  async function replace(machine: WorkerAnnounced): Promise<void> {
    // A launch that waits is given up: nobody need end what has not begun.
    if (await answered(machine, 'launch', 'ABANDON')) return;
    const input = { InstanceId: machine.worker, ShouldDecrementDesiredCapacity: false };
    try {
      await unless('TerminateInstanceInAutoScalingGroup', [UNKNOWN], () =>
        client.send(new TerminateInstanceInAutoScalingGroupCommand(input)),
      );
    } catch (error) {
      // One that is on its way out already need not be taken away.
      const now = await described(machine.worker).catch(() => undefined);
      if (!now?.LifecycleState?.startsWith(TERMINATING)) throw error;
    }
  }

  async function protect({ worker, fleet }: WorkerAnnounced, on: boolean): Promise<boolean> {
    const input = {
      AutoScalingGroupName: fleetGroupOf(stage, fleet),
      InstanceIds: [worker],
      ProtectedFromScaleIn: on,
    };
    const isDone = await unless('SetInstanceProtection', [NOT_IN_SERVICE, UNKNOWN], () =>
      client.send(new SetInstanceProtectionCommand(input)),
    );
    return isDone || (await described(worker))?.LifecycleState?.startsWith(PENDING) === true;
  }

  /** False: nobody waits for it. */
  function answered({ worker, fleet }: WorkerAnnounced, of: LifecycleHook, result: 'CONTINUE' | 'ABANDON') {
    const input = {
      AutoScalingGroupName: fleetGroupOf(stage, fleet),
      LifecycleHookName: lifecycleHooks[of],
      InstanceId: worker,
      LifecycleActionResult: result,
    };
    return unless('CompleteLifecycleAction', [NO_ACTION, UNKNOWN], () =>
      client.send(new CompleteLifecycleActionCommand(input)),
    );
  }

  async function described(worker: string): Promise<AutoScalingInstanceDetails | undefined> {
    try {
      const { AutoScalingInstances: found = [] } = await client.send(
        new DescribeAutoScalingInstancesCommand({ InstanceIds: [worker] }),
      );
      return found.find(({ InstanceId }) => InstanceId === worker);
    } catch (error) {
      throw computeError('AutoScaling DescribeAutoScalingInstances', error);
    }
  }
}

type Operation = 'TerminateInstanceInAutoScalingGroup' | 'SetInstanceProtection' | 'CompleteLifecycleAction';

/** Whether it was done; false where Auto Scaling says one of these instead. */
async function unless(operation: Operation, said: readonly RegExp[], call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (error) {
    const { name, message } = sdkError(error);
    if (name === 'ValidationError' && said.some((one) => one.test(message))) return false;
    throw computeError(`AutoScaling ${operation}`, error);
  }
}

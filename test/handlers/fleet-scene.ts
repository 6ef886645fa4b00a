import { startRunOnEc2 } from '../../handlers/start-run-on-ec2.ts';
import { payloadRef } from '../../runtime/payloads.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { WorkerOwner } from '../../schemas/ssm-command.ts';
import { FLEET_DEFAULT, fleetGroupOf, lifecycleHooks } from '../../schemas/worker.ts';
import { aRunRecord, aTask, aTaskId, at } from '../builders.ts';
import { aScene, latestEvent } from './scene.ts';

export const workerNo = (n: number): string => `i-${String(n).padStart(8, '0')}`;

/** A handler's world with a fleet, and tasks that want a worker of it. */
export async function aFleetScene(options: { workers?: number } = {}) {
  const scene = aScene();
  for (let n = 0; n < (options.workers ?? 1); n++) {
    await scene.workers.register({ worker: workerNo(n), fleet: FLEET_DEFAULT });
  }
  return Object.assign(scene, {
    /** A task that has all that a run needs; the event that says so. */
    async hydrated(name = 'red') {
      const taskId = aTaskId(name);
      const input = payloadRef('secret', taskId, 'input');
      const task = await scene.has({ ...aTask({ status: 'HYDRATED', taskId, compute: 'ec2' }), input });
      await scene.hasRun(aRunRecord({ taskId }));
      return { task, event: latestEvent(task), owner: { taskId, attempt: 1 } as WorkerOwner };
    },
    /** A task whose run was sent to a worker, and the id of its command. */
    async starting(name = 'red') {
      const { event, owner } = await this.hydrated(name);
      await scene.deliver(startRunOnEc2, event);
      const sent = scene.commands.sent.at(-1);
      if (!sent) throw new Error('nothing was sent');
      return { event, owner, commandId: sent.commandId, worker: sent.instanceId };
    },
    stateOf: async (id = workerNo(0)) => (await scene.workers.get(id))?.state,
  });
}

/** An event of AWS as it comes from the default bus. */
export const native = (source: string, type: string, detail: object): Envelope => ({
  version: '0',
  id: `native-${JSON.stringify(detail)}`,
  'detail-type': type,
  source,
  account: '000000000000',
  region: 'eu-west-1',
  time: at(0),
  resources: [],
  detail,
});

/** Auto Scaling has made a machine, or wants to take it away, and waits. */
export const hookEvent = (of: 'launch' | 'terminate', worker = workerNo(0), group = fleetGroupOf('test', 'main')) =>
  native('aws.autoscaling', `EC2 Instance-${of} Lifecycle Action`, {
    EC2InstanceId: worker,
    AutoScalingGroupName: group,
    LifecycleHookName: lifecycleHooks[of],
    LifecycleActionToken: '87654321-4321-4321-4321-210987654321',
  });

export const commandEvent = (commandId: string, status: string, worker = workerNo(0)): Envelope =>
  native('aws.ssm', 'EC2 Command Invocation Status-change Notification', {
    'command-id': commandId,
    'document-name': 'baton-run',
    'instance-id': worker,
    status,
  });

import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { SSMClient, type SSMClientConfig } from '@aws-sdk/client-ssm';
import { awsFleetWaits } from '../lifecycle/worker.ts';
import { autoScalingMachines } from '../runtime/aws/auto-scaling-machines.ts';
import { ec2Instances } from '../runtime/aws/ec2-instances.ts';
import { ssmCommands } from '../runtime/aws/ssm-commands.ts';
import { fleetBackend } from '../runtime/fleet-backend.ts';
import type { Clock, RecordStore } from '../runtime/ports.ts';
import { workersOver } from '../runtime/workers.ts';
import { parseComment, type WorkerOwner } from '../schemas/ssm-command.ts';
import { prefixOf } from '../schemas/stage.ts';
import { FLEET_DEFAULT, fleetGroupOf, lifecycleHooks } from '../schemas/worker.ts';
import { event } from './recorded-events.ts';
import type { Answer } from './recording-transport.ts';

/** The one machine that a deployment has when nobody says otherwise. */
export const MACHINE = { worker: 'i-0123456789abcdef0', fleet: FLEET_DEFAULT } as const;

/** Systems Manager and Auto Scaling as a budget needs them: a machine that is in service, and commands that go on until the story ends. */
export function recordedFleet(stage: string) {
  const document = `${prefixOf(stage)}-run`;
  const group = fleetGroupOf(stage, MACHINE.fleet);
  const sent: (WorkerOwner & { readonly commandId: string })[] = [];
  return {
    /** Commands that run an attempt, in order. */
    sent,
    services: {
      'ssm SendCommand': ({ Comment }) => {
        const commandId = `00000000-0000-4000-8000-${String(sent.length + 1).padStart(12, '0')}`;
        const meant = parseComment(String(Comment));
        if (meant?.action !== 'run') throw new Error(`a healthy run is sent no command "${Comment}"`);
        sent.push({ ...meant.owner, commandId });
        return { json: { Command: { CommandId: commandId } } };
      },
      'ssm GetCommandInvocation': ({ CommandId }) => ({ json: { CommandId, Status: 'InProgress', ResponseCode: -1 } }),
      'autoscaling SetInstanceProtection': () => answerOf('SetInstanceProtection'),
      'autoscaling CompleteLifecycleAction': () => answerOf('CompleteLifecycleAction'),
      'autoscaling DescribeAutoScalingInstances': () => answerOf('DescribeAutoScalingInstances', described(group)),
      'ec2 DescribeInstances': () => ({ text: RUNNING }),
    } satisfies Readonly<Record<string, (input: Record<string, unknown>) => Answer>>,

    portsOver({ client, store, clock }: { client: SSMClientConfig; store: RecordStore; clock: Clock }) {
      const waits = awsFleetWaits;
      const workers = workersOver({ store, clock, waits });
      const machines = autoScalingMachines(new AutoScalingClient(client), stage);
      const ssm = new SSMClient(client);
      const commands = ssmCommands({ client: ssm, sender: ssm, document });
      return {
        workers,
        machines,
        ec2: fleetBackend({
          ...{ workers, commands, clock, waits, region: 'us-east-1' },
          machines: { ...machines, ...ec2Instances(new AutoScalingClient(client)) },
        }),
      };
    },

    /** Auto Scaling says that it has made the machine. */
    launched: (time: string) =>
      event('EC2 Instance-launch Lifecycle Action', 'aws.autoscaling', 'launch', time, {
        LifecycleActionToken: '00000000-0000-4000-8000-000000000000',
        AutoScalingGroupName: group,
        LifecycleHookName: lifecycleHooks.launch,
        EC2InstanceId: MACHINE.worker,
        LifecycleTransition: 'autoscaling:EC2_INSTANCE_LAUNCHING',
      }),

    /** Systems Manager says what has become of a command. */
    statusEvent: (commandId: string, status: 'InProgress' | 'Success', time: string) =>
      event('EC2 Command Invocation Status-change Notification', 'aws.ssm', `${commandId}#${status}`, time, {
        'command-id': commandId,
        'document-name': document,
        'instance-id': MACHINE.worker,
        'requested-date-time': time,
        status,
      }),
  };
}

const answerOf = (operation: string, result = ''): Answer => ({
  text: `<${operation}Response><${operation}Result>${result}</${operation}Result></${operation}Response>`,
});

const RUNNING =
  '<DescribeInstancesResponse><instanceState><code>16</code><name>running</name></instanceState></DescribeInstancesResponse>';

const described = (group: string): string =>
  `<AutoScalingInstances><member><InstanceId>${MACHINE.worker}</InstanceId><AutoScalingGroupName>${group}</AutoScalingGroupName>` +
  '<LifecycleState>InService</LifecycleState></member></AutoScalingInstances>';

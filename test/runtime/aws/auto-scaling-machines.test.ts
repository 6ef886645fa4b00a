import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { describe, expect, it } from '@jest/globals';
import { autoScalingMachines } from '../../../runtime/aws/auto-scaling-machines.ts';
import { type Answer, aWire } from './wire.ts';

const WORKER = 'i-0abcdef1234567890';
const MACHINE = { worker: WORKER, fleet: 'builders' };
/** Answers by operation; what has none is not to be asked. */
const machinesThat = async (answers: Readonly<Record<string, Answer>>) => {
  const wire = await aWire(({ text }) => {
    const operation = new URLSearchParams(text).get('Action') ?? '';
    return answers[operation] ?? failing('InvalidAction', `nobody expects ${operation}`, 500);
  });
  const client = new AutoScalingClient({ ...wire.client, maxAttempts: 1 });
  const asked = () => wire.calls.map(({ text }) => Object.fromEntries(new URLSearchParams(text)));
  return { asked, machines: autoScalingMachines(client, 'test') };
};
const done = (operation: string): Answer => ({
  xml: `<${operation}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${operation}Result/></${operation}Response>`,
});
const listed = (state?: string): Answer => ({
  xml: `<DescribeAutoScalingInstancesResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><DescribeAutoScalingInstancesResult><AutoScalingInstances>${
    state === undefined
      ? ''
      : `<member><InstanceId>${WORKER}</InstanceId><AutoScalingGroupName>baton-test-fleet-builders</AutoScalingGroupName><LifecycleState>${state}</LifecycleState></member>`
  }</AutoScalingInstances></DescribeAutoScalingInstancesResult></DescribeAutoScalingInstancesResponse>`,
});
const failing = (code: string, message: string, status = 400): Answer => ({
  status,
  xml: `<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
});

const NOT_FOUND = failing(
  'ValidationError',
  `Instance Id not found - No managed instance found for instance ID: ${WORKER}`,
);
const NOT_IN_SERVICE = failing(
  'ValidationError',
  `The instance ${WORKER} is not in InService or EnteringStandby or Standby.`,
);
const NO_ACTION = failing('ValidationError', `No active Lifecycle Action found with instance ID ${WORKER}`);
const NO_GROUP = failing('ValidationError', 'AutoScalingGroup name not found - AutoScalingGroup baton-x not found');

describe('a machine of a group', () => {
  it.each([
    ['InService', true],
    ['Terminating:Wait', true],
    ['Terminated', false],
    [undefined, false],
  ])('in state %s is there: %s', async (state, there) => {
    const { machines } = await machinesThat({ DescribeAutoScalingInstances: listed(state) });
    expect(await machines.isThere(WORKER, 'builders')).toBe(there);
    expect(await machines.isThere(WORKER, 'others')).toBe(false);
  });

  it('of which nobody could be asked is neither there nor gone', async () => {
    const { machines } = await machinesThat({
      DescribeAutoScalingInstances: failing('InternalFailure', 'later', 500),
    });
    await expect(machines.isThere(WORKER, 'builders')).rejects.toMatchObject({ code: 'compute_unavailable' });
  });

  it('is taken away, and the group keeps its size', async () => {
    const { asked, machines } = await machinesThat({
      CompleteLifecycleAction: NO_ACTION,
      TerminateInstanceInAutoScalingGroup: done('TerminateInstanceInAutoScalingGroup'),
    });
    await machines.replace(MACHINE);
    expect(asked().at(-1)).toMatchObject({
      Action: 'TerminateInstanceInAutoScalingGroup',
      InstanceId: WORKER,
      ShouldDecrementDesiredCapacity: 'false',
    });
  });

  it('whose launch still waits is given up, and nothing else', async () => {
    const { asked, machines } = await machinesThat({ CompleteLifecycleAction: done('CompleteLifecycleAction') });
    await machines.replace(MACHINE);
    expect(asked()).toMatchObject([
      { LifecycleHookName: 'baton-launch', LifecycleActionResult: 'ABANDON', InstanceId: WORKER },
    ]);
  });

  it('that is gone already is no trouble; what is not allowed is', async () => {
    const gone = await machinesThat({
      CompleteLifecycleAction: NO_ACTION,
      TerminateInstanceInAutoScalingGroup: NOT_FOUND,
    });
    await gone.machines.replace(MACHINE);
    const denied = await machinesThat({ CompleteLifecycleAction: failing('AccessDenied', 'no', 403) });
    await expect(denied.machines.replace(MACHINE)).rejects.toMatchObject({ code: 'compute_denied' });
  });

  it.each([
    ['InService', 'ScalingActivityInProgress', false],
    ['InService', 'ResourceContention', false],
    ['Terminating:Wait', 'ScalingActivityInProgress', true],
  ])('in state %s of which its group says %s is taken away already: %s', async (state, code, isDone) => {
    const { machines } = await machinesThat({
      CompleteLifecycleAction: NO_ACTION,
      TerminateInstanceInAutoScalingGroup: failing(code, 'You must wait'),
      DescribeAutoScalingInstances: listed(state),
    });
    const done = machines.replace(MACHINE);
    await (isDone
      ? expect(done).resolves.toBeUndefined()
      : expect(done).rejects.toMatchObject({ code: 'compute_unavailable' }));
  });

  it.each([true, false])('is kept from whoever makes the fleet smaller: %s', async (on) => {
    const { asked, machines } = await machinesThat({ SetInstanceProtection: done('SetInstanceProtection') });
    expect(await machines.protect(MACHINE, on)).toBe(true);
    expect(asked()).toMatchObject([
      {
        AutoScalingGroupName: 'baton-test-fleet-builders',
        'InstanceIds.member.1': WORKER,
        ProtectedFromScaleIn: String(on),
      },
    ]);
  });

  it.each([
    ['is not in service yet', NOT_IN_SERVICE, 'Pending:Proceed', true],
    ['is about to be taken away', NOT_IN_SERVICE, 'Terminating:Wait', false],
    ['is gone', NOT_FOUND, undefined, false],
  ])('that %s is kept as far as it can be', async (_, said, state, kept) => {
    const { machines } = await machinesThat({
      SetInstanceProtection: said,
      DescribeAutoScalingInstances: listed(state),
    });
    expect(await machines.protect(MACHINE, true)).toBe(kept);
  });

  it.each(['launch', 'terminate'] as const)('that waits at its %s goes on, once', async (hook) => {
    const { asked, machines } = await machinesThat({ CompleteLifecycleAction: done('CompleteLifecycleAction') });
    await machines.proceed(MACHINE, hook);
    expect(asked()).toMatchObject([
      {
        AutoScalingGroupName: 'baton-test-fleet-builders',
        LifecycleHookName: `baton-${hook}`,
        LifecycleActionResult: 'CONTINUE',
        InstanceId: WORKER,
      },
    ]);
    const again = await machinesThat({ CompleteLifecycleAction: NO_ACTION });
    await again.machines.proceed(MACHINE, hook);
  });

  it('of a group that is not there is a mistake, and no machine that is gone', async () => {
    const { machines } = await machinesThat({ SetInstanceProtection: NO_GROUP, CompleteLifecycleAction: NO_GROUP });
    await expect(machines.protect(MACHINE, true)).rejects.toMatchObject({ code: 'compute_invalid' });
    await expect(machines.proceed(MACHINE, 'terminate')).rejects.toMatchObject({ code: 'compute_invalid' });
  });
});

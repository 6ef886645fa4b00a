import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { FLEET_TAG, STAGE_TAG } from '../../../schemas/fleet-names.ts';
import { FleetFault, type FleetNames, type InstanceRecord, type LocalFleet } from '../../engine/local-fleet-records.ts';
import { AwsError, refused } from './aws-error.ts';
import { type AwsService, type Place, parsedInput } from './aws-service.ts';
import { queryProtocol } from './query-protocol.ts';
import { element, leaf } from './xml.ts';

export type ScaledInstances = Pick<LocalFleet, 'instances' | 'terminate' | 'protect' | 'completeLifecycle'>;

const flag = z.enum(['true', 'false']).transform((value) => value === 'true');
const instanceId = z.string().min(1).max(19);
const terminateInstance = z.looseObject({ InstanceId: instanceId, ShouldDecrementDesiredCapacity: flag });
const setProtection = z.looseObject({
  AutoScalingGroupName: z.string(),
  InstanceIds: z.array(instanceId).min(1).max(50),
  ProtectedFromScaleIn: flag,
});
const completeAction = z.looseObject({
  AutoScalingGroupName: z.string(),
  LifecycleHookName: z.string(),
  LifecycleActionResult: z.enum(['CONTINUE', 'ABANDON']),
  LifecycleActionToken: z.string().length(36).optional(),
  InstanceId: instanceId.optional(),
});
const filter = z.looseObject({ Name: z.string(), Values: z.array(z.string()).default([]) });
const describeGroups = z.looseObject({
  AutoScalingGroupNames: z.array(z.string()).default([]),
  Filters: z.array(filter).default([]),
});
const describe = z.looseObject({ InstanceIds: z.array(instanceId).max(50).default([]) });

/**
 * Auto Scaling as far as workers need it: to be replaced, kept, given free, and looked after. Without a `minSize` the group may have no
 * fewer instances than it has, as on AWS, where its bounds are its size.
 */
export function autoScalingService(
  fleet: ScaledInstances,
  { fleet: fleetName, group, hook, launchHook, stage }: FleetNames,
  place: Place,
  minSize?: number,
): AwsService {
  const hooks: Readonly<Record<string, 'launch' | 'terminate'>> = {
    [hook]: 'terminate',
    ...(launchHook === undefined ? {} : { [launchHook]: 'launch' }),
  };
  const tags: Readonly<Record<string, string>> = {
    [FLEET_TAG]: fleetName,
    ...(stage === undefined ? {} : { [STAGE_TAG]: stage }),
  };
  return {
    signingName: 'autoscaling',
    protocol: queryProtocol({
      namespace: 'http://autoscaling.amazonaws.com/doc/2011-01-01/',
      item: 'member',
      answer: (operation, members, requestId) =>
        element(`${operation}Result`, {}, { inner: members }) + element('ResponseMetadata', { RequestId: requestId }),
      failure: (error, requestId) => element('ErrorResponse', {}, { inner: error + leaf('RequestId', requestId) }),
    }),
    operations: {
      async TerminateInstanceInAutoScalingGroup(given) {
        const input = parsedInput(terminateInstance, given, 'ValidationError');
        if (input.ShouldDecrementDesiredCapacity) assertMayShrink(input.InstanceId, await fleet.instances());
        await orError(() => fleet.terminate(input.InstanceId, { shrink: input.ShouldDecrementDesiredCapacity }));
        return {
          Activity: {
            ActivityId: randomUUID(),
            AutoScalingGroupName: group,
            Description: `Terminating EC2 instance: ${input.InstanceId}`,
            Cause: 'instance was taken out of service in response to a user request.',
            StatusCode: 'InProgress',
            Progress: 0,
          },
        };
      },
      async SetInstanceProtection(given) {
        const input = parsedInput(setProtection, given, 'ValidationError');
        assertGroup(input.AutoScalingGroupName);
        for (const id of input.InstanceIds) await orError(() => fleet.protect(id, input.ProtectedFromScaleIn));
        return {};
      },
      /** Whatever the result: an instance that is to go goes. A launch may be given up. */
      async CompleteLifecycleAction(given) {
        const input = parsedInput(completeAction, given, 'ValidationError');
        assertGroup(input.AutoScalingGroupName);
        const all = await fleet.instances();
        const { InstanceId, LifecycleActionToken: token } = input;
        const of = hooks[input.LifecycleHookName];
        const found = all.find(({ instanceId: id, launching, leaving }) =>
          token === undefined ? id === InstanceId : (of === 'launch' ? launching : leaving)?.token === token,
        );
        if (!found || of === undefined) throw noAction(InstanceId ?? token ?? '');
        const isAbandoned = input.LifecycleActionResult === 'ABANDON';
        await orError(() => fleet.completeLifecycle(found.instanceId, of, isAbandoned));
        return {};
      },
      async DescribeAutoScalingGroups(given) {
        const { AutoScalingGroupNames: wanted, Filters } = parsedInput(describeGroups, given, 'ValidationError');
        const isWanted = wanted.length === 0 || wanted.includes(group);
        if (!Filters.map((one) => passes(one, tags)).every(Boolean) || !isWanted) return { AutoScalingGroups: [] };
        const all = await fleet.instances();
        const size = all.filter(counts).length;
        const shownGroup = {
          AutoScalingGroupName: group,
          MinSize: minSize ?? size,
          MaxSize: size,
          DesiredCapacity: size,
          Instances: all.filter(({ state }) => state !== 'terminated').map((one) => shown(one, group, place)),
          Tags: Object.entries(tags).map(([Key, Value]) => ({
            ...{ ResourceId: group, ResourceType: 'auto-scaling-group', PropagateAtLaunch: true },
            ...{ Key, Value },
          })),
        };
        return { AutoScalingGroups: [shownGroup] };
      },
      async DescribeAutoScalingInstances(given) {
        const { InstanceIds: wanted } = parsedInput(describe, given, 'ValidationError');
        const members = (await fleet.instances()).filter(
          ({ instanceId: id, state }) => state !== 'terminated' && (wanted.length === 0 || wanted.includes(id)),
        );
        return { AutoScalingInstances: members.map((one) => shown(one, group, place)) };
      },
    },
  };

  /** Who is not there is told so before anything else. */
  function assertMayShrink(id: string, all: readonly InstanceRecord[]): void {
    const size = all.filter(counts).length;
    if (size > (minSize ?? size) || !all.some(({ instanceId: one }) => one === id)) return;
    throw refused(
      'ValidationError',
      `Currently, desiredSize equals minSize (${size}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`,
    );
  }

  function assertGroup(name: string): void {
    if (name !== group) throw refused('ValidationError', `Group ${name} not found`);
  }
}

/** Filters name tags alone (Auto Scaling API reference, Filter). */
function passes({ Name, Values }: z.infer<typeof filter>, tags: Readonly<Record<string, string>>): boolean {
  if (Name === 'tag-key') return Values.some((key) => Object.hasOwn(tags, key));
  if (Name === 'tag-value') return Values.some((value) => Object.values(tags).includes(value));
  const key = Name.startsWith('tag:') ? Name.slice('tag:'.length) : undefined;
  if (key === undefined) throw refused('ValidationError', `Filter type ${Name} is not correct.`);
  return Object.hasOwn(tags, key) && Values.includes(tags[key] ?? '');
}

/** Whether it counts for the size of its group: what leaves and is replaced does as long as it is there. */
const counts = ({ state, leaving }: InstanceRecord): boolean =>
  (state === 'pending' || state === 'running') && leaving?.shrink !== true;

const shown = (one: InstanceRecord, group: string, { region }: Place) => ({
  InstanceId: one.instanceId,
  AutoScalingGroupName: group,
  AvailabilityZone: `${region}-a`,
  LifecycleState: lifecycleOf(one),
  HealthStatus: one.silentSince !== undefined && one.leaving ? 'UNHEALTHY' : 'HEALTHY',
  ProtectedFromScaleIn: one.isProtected ?? false,
});

function lifecycleOf({ state, leaving, launching }: InstanceRecord): string {
  if (state === 'shutting-down') return 'Terminating';
  if (leaving?.token !== undefined) return 'Terminating:Wait';
  if (launching) return 'Pending:Wait';
  return state === 'pending' ? 'Pending' : 'InService';
}

const noAction = (subject: string): AwsError =>
  refused('ValidationError', `No active Lifecycle Action found with instance ID or token ${subject}`);

async function orError<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof FleetFault)) throw error;
    if (error.kind === 'throttled') throw refused('Throttling', error.message);
    if (error.kind === 'denied') throw new AwsError('AccessDenied', 403, error.message);
    if (error.kind === 'internal') throw new AwsError('InternalFailure', 500, error.message);
    if (error.kind === 'unknown_instance') {
      throw refused('ValidationError', `Instance Id not found - No managed instance found: ${error.message}`);
    }
    throw refused('ValidationError', error.message);
  }
}

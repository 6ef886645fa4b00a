import {
  type AutoScalingClient,
  type AutoScalingGroup,
  paginateDescribeAutoScalingGroups,
} from '@aws-sdk/client-auto-scaling';
import { DescribeRuleCommand, type EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { DescribeDocumentCommand, type SSMClient } from '@aws-sdk/client-ssm';
import { isMember } from '../../lifecycle/worker.ts';
import { startRunOnEc2 } from '../../rules/start-run-on-ec2.ts';
import { FLEET_TAG, runDocumentOf, STAGE_TAG } from '../../schemas/fleet-names.ts';
import { queueNamesOf } from '../../schemas/queue-names.ts';
import { prefixOf } from '../../schemas/stage.ts';
import type { WorkerView } from '../../schemas/worker-view.ts';
import { workerDesk } from '../endpoint/worker-desk.ts';
import { BatonError } from '../errors.ts';
import type { RecordStore } from '../ports.ts';
import { type DeploymentCheck, notReady } from './deployment-check.ts';
import { sdkError, serviceError } from './sdk-errors.ts';

/** Groups of one answer: the most that Auto Scaling gives (API reference, DescribeAutoScalingGroups). */
const PAGE = 100;
const IN_SERVICE = 'InService';
const DEPLOY_AGAIN = 'Deploy the choreography stack of this stage again: until then no run on ec2 can start.';

export interface FleetParts {
  readonly events: EventBridgeClient;
  readonly ssm: SSMClient;
  readonly scaling: AutoScalingClient;
  readonly store: Pick<RecordStore, 'list' | 'durable'>;
}

/** What a deployment with fleets needs besides; nothing where it has none. */
export async function fleetChecks(stage: string, parts: FleetParts): Promise<readonly DeploymentCheck[]> {
  try {
    if (!(await hasFleets(parts.events, prefixOf(stage)))) return [];
  } catch (error) {
    if (!(error instanceof BatonError)) throw error;
    return [{ name: 'fleets', look: () => Promise.reject(error) }];
  }
  return [
    { name: 'run document', look: () => documentIsReady(parts.ssm, runDocumentOf(prefixOf(stage))) },
    {
      name: 'fleets',
      async look() {
        const groups = await groupsOf(parts.scaling, stage);
        if (groups.length > 0) return groups.map(groupText).join('; ');
        throw notReady(
          `there is no Auto Scaling group with the tags ${FLEET_TAG} and ${STAGE_TAG}=${stage}`,
          DEPLOY_AGAIN,
        );
      },
    },
    { name: 'workers', look: () => everyFleetHasWorkers(stage, parts) },
  ];
}

/** Told by the rule that starts runs there: without it a deployment has no fleet, whatever machines an earlier one left. */
async function hasFleets(events: EventBridgeClient, prefix: string): Promise<boolean> {
  try {
    const Name = queueNamesOf(prefix).ofRule(startRunOnEc2.name);
    await events.send(new DescribeRuleCommand({ Name, EventBusName: prefix }));
    return true;
  } catch (error) {
    if (sdkError(error).name === 'ResourceNotFoundException') return false;
    throw serviceError('EventBridge DescribeRule', error);
  }
}

async function documentIsReady(ssm: SSMClient, name: string): Promise<string> {
  const { Document: document } = await ssm.send(new DescribeDocumentCommand({ Name: name })).catch((error: unknown) => {
    if (sdkError(error).name !== 'InvalidDocument') throw serviceError('SSM DescribeDocument', error);
    throw notReady(`there is no document ${name}`, DEPLOY_AGAIN, error);
  });
  if (document?.Status === 'Active') return `the document ${name} is there`;
  throw notReady(`the document ${name} is ${document?.Status}`, DEPLOY_AGAIN);
}

interface Group {
  readonly name: string;
  readonly fleet: string;
  readonly machines: number;
  readonly inService: number;
  /** Its members, whatever becomes of them. */
  readonly workers: ReadonlySet<string>;
}

/** By their tags: only the deployment knows which fleets it has. */
async function groupsOf(client: AutoScalingClient, stage: string): Promise<readonly Group[]> {
  const Filters = [
    { Name: 'tag-key', Values: [FLEET_TAG] },
    { Name: `tag:${STAGE_TAG}`, Values: [stage] },
  ];
  const found: Group[] = [];
  try {
    for await (const { AutoScalingGroups } of paginateDescribeAutoScalingGroups(
      { client, pageSize: PAGE },
      { Filters },
    )) {
      found.push(...(AutoScalingGroups ?? []).map(groupIn));
    }
  } catch (error) {
    throw serviceError('AutoScaling DescribeAutoScalingGroups', error);
  }
  return found;
}

const groupIn = ({
  AutoScalingGroupName: name = '',
  MinSize = 0,
  Tags = [],
  Instances = [],
}: AutoScalingGroup): Group => ({
  name,
  fleet: Tags.find(({ Key }) => Key === FLEET_TAG)?.Value ?? '',
  machines: MinSize,
  inService: Instances.filter(({ LifecycleState }) => LifecycleState === IN_SERVICE).length,
  workers: new Set(Instances.map(({ InstanceId = '' }) => InstanceId)),
});

const groupText = ({ name, fleet, machines, inService }: Group): string =>
  `${fleet} is the group ${name}, with ${inService} of ${machines} machines in service`;

/**
 * A fleet whose workers are all busy is well; one that has none keeps every task waiting. Records alone say too much: that of a machine whose
 * end nobody told stays, and so do those of a fleet that is not deployed any more.
 */
async function everyFleetHasWorkers(stage: string, { scaling, store }: FleetParts): Promise<string> {
  const recorded = await workerDesk(store).list();
  // Who may not see the groups is told so by their own check, and of records what they say.
  const seen = await groupsOf(scaling, stage).catch(() => undefined);
  const workers = seen === undefined ? recorded : recorded.filter((one) => seen.some((group) => isOf(group, one)));
  const groups = seen ?? [];
  const fleets = [...new Set((seen ?? recorded).map(({ fleet }) => fleet))].sort();
  const counted = fleets.map((fleet) => countsOf(fleet, workers));
  const empty = counted.filter(({ ready }) => ready === 0);
  if (counted.length > 0 && empty.length === 0) return counted.map(workersText).join('; ');
  const named = groups.find(({ fleet }) => empty.some((one) => one.fleet === fleet))?.name ?? '<its group>';
  throw notReady(
    counted.length === 0 ? 'no fleet has a worker' : counted.map(workersText).join('; '),
    `Tasks on ec2 wait until a worker has registered. \`baton workers --stage ${stage}\` shows those that boot; where none does, look at \`aws autoscaling describe-scaling-activities --auto-scaling-group-name ${named}\`, and at docs/runbook.md, "a fleet is too small".`,
  );
}

const isOf = ({ fleet, workers }: Group, one: WorkerView): boolean => fleet === one.fleet && workers.has(one.worker);

interface Counts {
  readonly fleet: string;
  readonly ready: number;
  readonly idle: number;
  readonly boots: number;
}

function countsOf(fleet: string, all: readonly WorkerView[]): Counts {
  const own = all.filter((one) => one.fleet === fleet);
  return {
    fleet,
    ready: own.filter(isMember).length,
    idle: own.filter(({ state, leaving }) => state === 'idle' && !leaving).length,
    boots: own.filter(({ state }) => state === 'booting').length,
  };
}

const workersText = ({ fleet, ready, idle, boots }: Counts): string =>
  `${fleet} has ${ready === 0 ? 'no worker' : `${ready} registered, ${idle} idle`}${boots === 0 ? '' : `, ${boots} boot`}`;

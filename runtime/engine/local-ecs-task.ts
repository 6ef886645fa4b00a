import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { ECS_TASK_STATE_CHANGE, type EcsTaskStateChangeDetail } from '../../events/aws/ecs-task-state-change.ts';
import { AGENT_CONTAINER } from '../../lifecycle/ecs-task.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { EcsHandle } from '../../schemas/run-handle.ts';
import type { ExitRecord } from '../../schemas/supervised-run.ts';
import { agentContainerOf } from './local-definition.ts';
import { overridesOf, type StoredRun } from './local-ecs-run.ts';
import type { LocalRevision } from './local-registry.ts';

const ACCOUNT = '000000000000';
const REGION = 'local';
const ARN = `arn:aws:ecs:${REGION}:${ACCOUNT}`;
const CLUSTER_ARN = `${ARN}:cluster/baton`;
const TASK_ARN_PREFIX = `${ARN}:task/baton/`;
/** What runs of versions without task definitions say that they were started from. */
const FIRST_DEFINITION = {
  arn: `${ARN}:task-definition/baton-agent:1`,
  family: 'baton-agent',
  definition: {},
  tags: {},
};

const STATUSES: readonly string[] = [
  'PROVISIONING',
  'PENDING',
  'ACTIVATING',
  'RUNNING',
  'DEACTIVATING',
  'STOPPING',
  'DEPROVISIONING',
  'STOPPED',
];

/** One task as the store keeps it: the state that ECS shows, and the changes that the bus has not accepted yet, oldest first. */
export interface EcsTaskRecord {
  readonly schemaVersion: 1;
  readonly run: StoredRun;
  readonly detail: EcsTaskStateChangeDetail;
  readonly unpublished: readonly EcsTaskStateChangeDetail[];
  /** Its own and those of its definition; no event shows them. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Why it must end. `stopCode`: unless somebody asked for it; `atOnce`: without a word to its processes. */
  readonly stop?: {
    readonly reason: string;
    readonly at: string;
    readonly stopCode?: string;
    readonly atOnce?: true;
  };
}

/** The id follows from the client token, so the record's own key is the guard: one token, one task. 32 hexadecimal digits as on AWS. */
export const ecsTaskIdOf = (clientToken: string): string =>
  createHash('sha256').update(clientToken).digest('hex').slice(0, 32);

export const taskArnOf = (id: string): string => `${TASK_ARN_PREFIX}${id}`;

/** The id in a task ARN; undefined if it is none of ours. */
export function idInArn(taskArn: string): string | undefined {
  const id = taskArn.startsWith(TASK_ARN_PREFIX) ? taskArn.slice(TASK_ARN_PREFIX.length) : '';
  return /^[0-9a-f]{32}$/.test(id) ? id : undefined;
}

export function handleOf(id: string, taskDefinitionArn = FIRST_DEFINITION.arn): EcsHandle {
  return { backend: 'ecs', taskArn: taskArnOf(id), clusterArn: CLUSTER_ARN, taskDefinitionArn, region: REGION };
}

/** What of a task definition a task shows. */
type Shown = Pick<LocalRevision, 'arn' | 'family' | 'definition' | 'tags'>;

export function newTask(run: StoredRun, at: string, from: Shown = FIRST_DEFINITION): EcsTaskRecord {
  const taskArn = taskArnOf(ecsTaskIdOf(run.clientToken));
  const { cpu = '1024', memory = '2048' } = from.definition as { cpu?: string; memory?: string };
  const provisioning: EcsTaskStateChangeDetail = {
    taskArn,
    clusterArn: CLUSTER_ARN,
    taskDefinitionArn: from.arn,
    availabilityZone: `${REGION}-a`,
    // As the reference's example of a Spot warning has it: the launch type is that of Fargate either way.
    ...(run.capacityProvider === 'FARGATE_SPOT' ? { capacityProviderName: 'FARGATE_SPOT' } : {}),
    launchType: 'FARGATE',
    platformVersion: '1.4.0',
    group: `family:${from.family}`,
    startedBy: run.startedBy,
    desiredStatus: 'RUNNING',
    lastStatus: 'PROVISIONING',
    cpu,
    memory,
    connectivity: 'CONNECTED',
    connectivityAt: at,
    enableExecuteCommand: false,
    createdAt: at,
    updatedAt: at,
    version: 1,
    attributes: [],
    attachments: [],
    overrides: overridesOf(run),
    containers: [container({ taskArn, image: agentContainerOf(from.definition)?.image }, { lastStatus: 'PENDING' })],
  };
  const tags = { ...(run.propagateTags === 'NONE' ? {} : from.tags), ...run.tags };
  const unpublished = [provisioning];
  const provisioned: EcsTaskRecord = { schemaVersion: 1, run, detail: provisioning, unpublished, tags };
  return through(provisioned, ['PENDING'], {}, at);
}

/** The tags that DescribeTasks shows: StopTask deletes those of the task (ECS API reference). */
export const tagsOf = ({ tags = {}, stop }: EcsTaskRecord): Readonly<Record<string, string>> =>
  stop && stop.stopCode === undefined ? {} : tags;

export const isStopped = (record: EcsTaskRecord): boolean => record.detail.lastStatus === 'STOPPED';

/** The process has started. `startedAt` as its supervisor saw it. */
export function running(record: EcsTaskRecord, startedAt: string, at: string): EcsTaskRecord {
  if (isAtOrPast(record, 'RUNNING')) return record;
  const containers = [container(imaged(record), { lastStatus: 'RUNNING' })];
  const activated = isAtOrPast(record, 'ACTIVATING') ? record : through(record, ['ACTIVATING'], {}, at);
  const started = through(activated, ['RUNNING'], { startedAt, containers }, at);
  return record.stop ? through(started, ['DEACTIVATING', 'STOPPING'], {}, at) : started;
}

/** Somebody asked for a stop. Before RUNNING only the desired status changes. */
export function stopping(record: EcsTaskRecord, reason: string, at: string): EcsTaskRecord {
  if (record.stop || isStopped(record)) return record;
  const changes = { desiredStatus: 'STOPPED', stopCode: 'UserInitiated', stoppedReason: reason, stoppingAt: at };
  const statuses = isAtOrPast(record, 'RUNNING') ? ['DEACTIVATING', 'STOPPING'] : [record.detail.lastStatus];
  return { ...through(record, statuses, changes, at), stop: { reason, at } };
}

/**
 * The machine is taken away. Spot capacity is taken with a warning, while the task still runs: the end is another change; other tasks
 * keep theirs. A host that dies says nothing before.
 */
export function interrupted(record: EcsTaskRecord, how: 'spot' | 'host', at: string): EcsTaskRecord {
  if (record.stop || record.detail.lastStatus !== 'RUNNING') return record;
  if (how === 'host') {
    const reason = 'The host of the task became impaired.';
    return { ...record, stop: { reason, at, stopCode: 'InfrastructureHealth', atOnce: true } };
  }
  if (record.run.capacityProvider !== 'FARGATE_SPOT') return record;
  const stop = { reason: 'Your Spot Task was interrupted.', at, stopCode: 'SpotInterruption' };
  const changes = { desiredStatus: 'STOPPED', stopCode: stop.stopCode, stoppedReason: stop.reason, stoppingAt: at };
  return { ...through(record, ['RUNNING'], changes, at), stop };
}

/** The container never ran: no exit code. After a stop request that was the user's doing, otherwise a failure to start. */
export function neverRan(record: EcsTaskRecord, reason: string, at: string): EcsTaskRecord {
  const byUser = record.stop !== undefined;
  return through(
    record,
    ['DEPROVISIONING', 'STOPPED'],
    {
      desiredStatus: 'STOPPED',
      stoppingAt: record.stop?.at ?? at,
      stopCode: byUser ? 'UserInitiated' : 'TaskFailedToStart',
      stoppedReason: record.stop?.reason ?? reason,
      containers: byUser ? [container(imaged(record), { lastStatus: 'STOPPED' })] : [],
    },
    at,
  );
}

/** The container ran and is gone. `reason` replaces the usual words if something out of the ordinary ended it. */
export function exited(record: EcsTaskRecord, exit: ExitRecord, reason: string | undefined, at: string): EcsTaskRecord {
  const stopped = {
    lastStatus: 'STOPPED',
    exitCode: exitCodeOf(exit),
    ...(exit.signal === null ? {} : { reason: `ended by ${exit.signal}` }),
  };
  const changes = {
    desiredStatus: 'STOPPED',
    stoppingAt: record.stop?.at ?? at,
    executionStoppedAt: exit.endedAt,
    stopCode: record.stop ? (record.stop.stopCode ?? 'UserInitiated') : 'EssentialContainerExited',
    stoppedReason: record.stop?.reason ?? reason ?? 'Essential container in task exited',
    containers: [container(imaged(record), stopped)],
  };
  const left = STATUSES.slice(Math.max(rankOf(record), STATUSES.indexOf('RUNNING')) + 1);
  return through(record, left, changes, at);
}

/** What EventBridge would deliver. The id follows from the change, so publishing again gives the same event. */
export function stateChangeEvent(detail: EcsTaskStateChangeDetail): Envelope<string, EcsTaskStateChangeDetail> {
  return {
    version: '0',
    id: eventIdOf(`${detail.taskArn}#${detail.version}`),
    'detail-type': ECS_TASK_STATE_CHANGE.detailType,
    source: ECS_TASK_STATE_CHANGE.source,
    account: ACCOUNT,
    time: (detail.updatedAt ?? '').replace(/\.\d+Z$/, 'Z'),
    region: REGION,
    resources: [detail.taskArn],
    detail,
  };
}

/** One change after the other, each with the next version; all are still to be published. */
function through(
  record: EcsTaskRecord,
  statuses: readonly string[],
  changes: Partial<EcsTaskStateChangeDetail>,
  at: string,
): EcsTaskRecord {
  let { detail } = record;
  const unpublished = [...record.unpublished];
  for (const lastStatus of statuses) {
    const ends = lastStatus === 'STOPPED' ? { stoppedAt: at } : {};
    detail = { ...detail, ...changes, ...ends, lastStatus, updatedAt: at, version: detail.version + 1 };
    unpublished.push(detail);
  }
  return { ...record, detail, unpublished };
}

const rankOf = (record: EcsTaskRecord): number => STATUSES.indexOf(record.detail.lastStatus);
const isAtOrPast = (record: EcsTaskRecord, status: string): boolean => rankOf(record) >= STATUSES.indexOf(status);

/** Death by signal as a shell and a container runtime number it. */
function exitCodeOf(exit: ExitRecord): number {
  const number = Object.entries(constants.signals).find(([name]) => name === exit.signal)?.[1];
  return exit.exitCode ?? 128 + (number ?? constants.signals.SIGKILL);
}

/** Whose container it is, and what runs in it: the image does not change in the life of a task. */
interface Imaged {
  readonly taskArn: string;
  readonly image: string | undefined;
}

function imaged({ detail: { taskArn, containers } }: EcsTaskRecord): Imaged {
  const image = containers?.[0]?.['image'];
  return { taskArn, image: typeof image === 'string' ? image : undefined };
}

function container(
  { taskArn, image = 'baton-agent' }: Imaged,
  changes: { lastStatus: string; exitCode?: number; reason?: string },
) {
  const id = taskArn.slice(TASK_ARN_PREFIX.length);
  return {
    containerArn: `${ARN}:container/baton/${id}/${AGENT_CONTAINER}`,
    taskArn,
    name: AGENT_CONTAINER,
    image,
    runtimeId: `${id}-0`,
    networkInterfaces: [],
    cpu: '0',
    ...changes,
  };
}

function eventIdOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `5${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}

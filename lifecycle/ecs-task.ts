import type { EcsTaskStateChangeDetail } from '../events/aws/ecs-task-state-change.ts';
import { because, type ReasonCode } from '../schemas/reason.ts';
import type { RunObservation } from '../schemas/run-observation.ts';

/** The container that counts; sidecars that the account injects (GuardDuty, OpenTelemetry) do not. */
export const AGENT_CONTAINER = 'agent';

/** `startedBy` of every run: `baton/<stage>/<taskId>/<attempt>` (at most 128 characters of `A-Za-z0-9-/_`). */
export const startedByOf = (stage: string, taskId: string, attempt: number): string =>
  `baton/${stage}/${taskId}/${attempt}`;

export function parseStartedBy(
  startedBy: string | undefined,
): { stage: string; taskId: string; attempt: number } | undefined {
  const [, stage, taskId, attempt] =
    /^baton\/([A-Za-z0-9_-]+)\/(t[0-9a-z]+)\/([1-9][0-9]*)$/.exec(startedBy ?? '') ?? [];
  return stage && taskId && attempt ? { stage, taskId, attempt: Number(attempt) } : undefined;
}

/** `lastStatus` → phase. Any may be skipped; unknown ones mean nothing (Amazon ECS developer guide, task lifecycle). */
const phases: Record<string, RunObservation['phase']> = {
  PROVISIONING: 'starting',
  PENDING: 'starting',
  ACTIVATING: 'starting',
  RUNNING: 'running',
  DEACTIVATING: 'running',
  STOPPING: 'running',
  DEPROVISIONING: 'running',
  STOPPED: 'ended',
  DELETED: 'ended',
};

/** `stopCode` → what kind of end it was when the agent container has no exit code of its own to go by. */
const stopCodes: Record<string, { kind: 'lost' | 'stopped'; code: ReasonCode }> = {
  TaskFailedToStart: { kind: 'lost', code: 'never_started' },
  EssentialContainerExited: { kind: 'lost', code: 'never_started' },
  UserInitiated: { kind: 'stopped', code: 'stopped_outside' },
  ServiceSchedulerInitiated: { kind: 'lost', code: 'host_lost' },
  SpotInterruption: { kind: 'lost', code: 'spot_interrupted' },
  TerminationNotice: { kind: 'lost', code: 'host_lost' },
  InfrastructureHealth: { kind: 'lost', code: 'host_lost' },
};

/** Stop codes that outweigh the exit code: the container died because its host did, or because somebody stopped it. */
const outweighing = new Set([
  'UserInitiated',
  'SpotInterruption',
  'TerminationNotice',
  'InfrastructureHealth',
  'ServiceSchedulerInitiated',
]);

export interface EcsReading {
  readonly observation?: RunObservation;
  /** Why there is no observation, or what in it was unknown: logged and counted, never guessed. */
  readonly remark?: string;
}

/** Translates an ECS task of this stage (of any, where none is given), as the event's detail or `DescribeTasks` shows it, into what all back ends say. */
export function readEcsTask(detail: EcsTaskStateChangeDetail, stage?: string): EcsReading {
  const parsed = parseStartedBy(detail.startedBy);
  if (!parsed) return { remark: `not started by Baton: startedBy "${detail.startedBy ?? ''}"` };
  const { stage: from, ...who } = parsed;
  // Stages of one account may have tasks of the same id: the same user and key.
  if (stage !== undefined && from !== stage) return { remark: `of stage "${from}"` };
  const phase = phases[detail.lastStatus];
  if (!phase) return { remark: `unknown lastStatus "${detail.lastStatus}"` };
  const common = {
    ...who,
    nativeId: detail.taskArn,
    handle: {
      backend: 'ecs' as const,
      taskArn: detail.taskArn,
      clusterArn: detail.clusterArn,
      taskDefinitionArn: detail.taskDefinitionArn ?? '',
      region: detail.taskArn.split(':')[3] ?? '',
    },
    sequence: detail.version,
  };
  if (phase !== 'ended') return { observation: { ...common, phase } };
  const { end, remark } = readEnd(detail);
  return { observation: { ...common, phase, end }, ...(remark ? { remark } : {}) };
}

function readEnd(detail: EcsTaskStateChangeDetail): { end: NonNullable<RunObservation['end']>; remark?: string } {
  const agent = detail.containers?.find((container) => container.name === AGENT_CONTAINER);
  const exitCode = agent?.exitCode;
  const stopCode = detail.stopCode ?? '';
  const known = stopCodes[stopCode];
  const told =
    [detail.stoppedReason, agent?.reason].filter(Boolean).join('; ') ||
    `ECS stopped the task (${stopCode || 'no stop code'})`;
  const unknown = stopCode !== '' && !known ? { remark: `unknown stopCode "${stopCode}"` } : {};
  if (exitCode !== undefined && !outweighing.has(stopCode)) {
    return { end: { kind: 'exited', exitCode, reason: because('runner_failed', told) }, ...unknown };
  }
  const { kind, code } = known ?? { kind: 'lost' as const, code: 'unknown_stop' as const };
  return { end: { kind, ...(exitCode === undefined ? {} : { exitCode }), reason: because(code, told) }, ...unknown };
}

import type { EcsTaskStateChangeDetail } from '../events/aws/ecs-task-state-change.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import { readEcsEnd } from './ecs-stop.ts';

/** The container that counts; sidecars that the account injects (GuardDuty, OpenTelemetry) do not. */
export const AGENT_CONTAINER = 'agent';

/** `startedBy` of every run: `baton/<stage>/<taskId>/<attempt>` (at most 128 characters of `A-Za-z0-9-/_`). */
export const startedByOf = (stage: string, taskId: string, attempt: number): string =>
  `baton/${stage}/${taskId}/${attempt}`;

/** Tags of the ECS task of a run, beside those of its definition: the same for every start of one attempt. */
export const runTagsOf = (stage: string, taskId: string, attempt: number): Readonly<Record<string, string>> => ({
  'baton:stage': stage,
  'baton:task': taskId,
  'baton:attempt': String(attempt),
});

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
  const { end, remarks } = readEcsEnd(detail, AGENT_CONTAINER);
  return { observation: { ...common, phase, end }, ...(remarks.length > 0 ? { remark: remarks.join(', ') } : {}) };
}

import type { EcsTaskStateChangeDetail } from '../events/aws/ecs-task-state-change.ts';
import { because, type ReasonCode } from '../schemas/reason.ts';
import type { RunObservation } from '../schemas/run-observation.ts';

/** What a stop was, where the exit code of the agent does not tell it. */
interface Stop {
  readonly kind: 'lost' | 'stopped';
  readonly code: ReasonCode;
  /** It outweighs the exit code: the container died because its host did, or because somebody stopped it. */
  readonly outweighs?: true;
}

/** `stopCode` → what it was (Amazon ECS API reference, Task: all seven of its values). */
export const STOP_CODES: Readonly<Record<string, Stop>> = {
  TaskFailedToStart: { kind: 'lost', code: 'never_started' },
  EssentialContainerExited: { kind: 'lost', code: 'never_started' },
  UserInitiated: { kind: 'stopped', code: 'stopped_outside', outweighs: true },
  // No service starts runs. One that takes a run for its own stops it from outside.
  ServiceSchedulerInitiated: { kind: 'stopped', code: 'stopped_outside', outweighs: true },
  SpotInterruption: { kind: 'lost', code: 'spot_interrupted', outweighs: true },
  TerminationNotice: { kind: 'lost', code: 'host_lost', outweighs: true },
  InfrastructureHealth: { kind: 'lost', code: 'host_lost', outweighs: true },
};

interface Words extends Stop {
  /** Found in `stoppedReason`, or in the `reason` of a container. */
  readonly says: RegExp;
}

/**
 * Words of ECS → what it was: the first row that fits. They say more than `TaskFailedToStart` and `EssentialContainerExited` do, and stand for
 * a stop code that is missing or new. Categories: Amazon ECS developer guide, "Stopped tasks error codes"; the sentences behind them: the
 * guide's pages on each category, and what people report; none of it is promised by AWS. So a row asks for as little as tells it
 * from the others, and what fits none is known by its stop code. All of them are tried again: a missing image or secret may be there in the next
 * attempt, attempts are few, and the wait between them grows.
 */
export const STOP_WORDS: readonly Words[] = [
  { says: /Capacity is unavailable at this time/i, kind: 'lost', code: 'no_capacity' },
  { says: /SpotInterruption|Spot Task was interrupted/i, kind: 'lost', code: 'spot_interrupted', outweighs: true },
  { says: /\bHost EC2\b.*(terminated|stopped)/i, kind: 'lost', code: 'host_lost', outweighs: true },
  { says: /instance (deregistration|was deregistered)/i, kind: 'lost', code: 'host_lost', outweighs: true },
  { says: /^Task stopped by\b/i, kind: 'stopped', code: 'stopped_outside', outweighs: true },
  { says: /Task failed .*health checks/i, kind: 'stopped', code: 'stopped_outside', outweighs: true },
  // Names of roles and paths of programs may hold the words of any row below.
  { says: /unable to assume (the )?role/i, kind: 'lost', code: 'role_unavailable' },
  { says: /CannotStartContainer(Error)?/i, kind: 'lost', code: 'never_started' },
  { says: /CannotPull\w*|image manifest/i, kind: 'lost', code: 'image_unavailable' },
  // Both begin with "unable to pull secrets or registry auth": what follows tells them apart.
  { says: /registry auth from|ecr registry auth/i, kind: 'lost', code: 'image_unavailable' },
  { says: /unable to pull secrets|secrets? from\b|Secrets Manager/i, kind: 'lost', code: 'secret_unavailable' },
  {
    says: /\bEFS (utils|volumes?|file systems?)\b|elasticfilesystem|mount\.nfs|CannotCreateVolume(Error)?/i,
    kind: 'lost',
    code: 'files_unavailable',
  },
  {
    says: /network interface|\b(configure|set ?up|attach)( \w+)? ENI\b|network configuration|InsufficientFreeAddresses/i,
    kind: 'lost',
    code: 'network_unavailable',
  },
  {
    says: /ContainerRuntime(Timeout)?Error|Cannot(Inspect|Stop)ContainerError|\bInternalError\b|EphemeralStorage/i,
    kind: 'lost',
    code: 'back_end_failed',
  },
  // Log driver, environment files, mounts: too many to tell a remedy for each. The message is the reason.
  { says: /ResourceInitializationError|ResourceNotFoundException/i, kind: 'lost', code: 'never_started' },
];

/**
 * In the reason of the task or of the agent's container. It is also said where only a process below the runner was killed, and the runner
 * went on: then its exit code is 0, or its report is stored.
 */
const OUT_OF_MEMORY = /\bOutOfMemory(Error)?\b/i;

/** A category of ECS stands first and is one word. */
const CATEGORY = /^\w+(?:Error|Exception)\b/;

/** Exit code of a process that a signal ended is 128 + the signal's number. */
const SIGNALLED = 128;

export interface EcsEnd {
  readonly end: NonNullable<RunObservation['end']>;
  /** What in it was unknown. */
  readonly remarks: readonly string[];
}

/**
 * What the end of an ECS task was. Only the agent's container has an exit code that counts. What other containers say is told where that one
 * has none, or was ended by a signal: one of them may be why.
 */
export function readEcsEnd(detail: EcsTaskStateChangeDetail, agentContainer: string): EcsEnd {
  const { containers = [], stopCode = '', stoppedReason } = detail;
  const [agent, ...namesakes] = containers.filter(({ name }) => name === agentContainer);
  const exitCode = agent?.exitCode;
  const own = [stoppedReason, agent?.reason].flatMap((text) => text || []);
  const others = containers.filter(({ name }) => name !== agentContainer);
  const code = STOP_CODES[stopCode];
  // Beside a code that outweighs all, words tell nothing; who stops a task even writes them himself.
  const words = code?.outweighs ? [] : own;
  // Names are not matched: whoever wrote the definition chose them.
  const reasons = others.flatMap(({ reason }) => reason || []);
  const row = rowFor(exitCode === undefined ? [...words, ...reasons] : words);
  const isOutOfMemory = words.some((text) => OUT_OF_MEMORY.test(text));
  const beside = exitCode === undefined || exitCode > SIGNALLED ? others.flatMap(wordsOf) : [];
  const told = [...own, ...beside].join('; ');
  const message = told || `ECS stopped the task (${stopCode || 'no stop code'})`;
  return { end: endOf(), remarks: remarks() };

  function endOf(): EcsEnd['end'] {
    if (code?.outweighs) return ended(code);
    if (isOutOfMemory && exitCode !== 0) return ended({ kind: 'lost', code: 'out_of_memory' });
    if (row?.outweighs) return ended(row);
    if (exitCode !== undefined) return { kind: 'exited', exitCode, reason: because('runner_failed', message) };
    return ended(row ?? code ?? { kind: 'lost', code: 'unknown_stop' });
  }

  function ended(stop: Stop): EcsEnd['end'] {
    return { kind: stop.kind, ...(exitCode === undefined ? {} : { exitCode }), reason: because(stop.code, message) };
  }

  function remarks(): string[] {
    const category = row || isOutOfMemory ? undefined : words.flatMap((text) => CATEGORY.exec(text) ?? [])[0];
    return [
      ...(stopCode !== '' && !code ? [`unknown stopCode "${stopCode}"`] : []),
      ...(category === undefined ? [] : [`unknown category "${category}"`]),
      ...(stopCode === '' && exitCode === undefined && !row && !isOutOfMemory ? ['no stopCode'] : []),
      ...(containers.length > 0 && !agent ? [`no container is named "${agentContainer}"`] : []),
      ...(namesakes.length > 0 ? [`${namesakes.length + 1} containers are named "${agentContainer}"`] : []),
    ];
  }
}

const rowFor = (texts: readonly string[]): Words | undefined =>
  STOP_WORDS.find(({ says }) => texts.some((text) => says.test(text)));

/** What a container that does not count has to say: why it failed, or that it did. */
function wordsOf({
  name,
  reason,
  exitCode,
}: {
  name: string;
  reason?: string | undefined;
  exitCode?: number | undefined;
}): string[] {
  if (reason) return [`${name}: ${reason}`];
  return exitCode ? [`${name} exited with ${exitCode}`] : [];
}

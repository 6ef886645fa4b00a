import { parseStartedBy } from '../lifecycle/ecs-task.ts';
import { type Life, lookAtLife } from '../lifecycle/life-signs.ts';
import type { Timings } from '../lifecycle/timings.ts';
import {
  type AgentcoreHandle,
  agentcoreHandle,
  INVOCATION_MAX_BYTES,
  parseSessionId,
  type SessionOwner,
  sessionAcknowledgement,
  sessionIdOf,
  sessionInvocation,
} from '../schemas/agentcore-session.ts';
import { because, type Reason } from '../schemas/reason.ts';
import { ownHandle } from '../schemas/run-handle.ts';
import type { RunObservation } from '../schemas/run-observation.ts';
import type { Task, TaskIn } from '../schemas/task.ts';
import { BatonError, type ComputeError } from './errors.ts';
import type { AgentcoreBackend, Clock, Runs, StartOutcome, StartSession, StopOutcome, Tasks } from './ports.ts';

/** Wait when sessions begin faster than AgentCore lets them, in seconds: it counts them by the minute. */
export const THROTTLE_PAUSE_S = 60;
/** Wait for room when the account has as many sessions as it may, in seconds: sessions end when tasks do, within minutes at the best. */
export const QUOTA_PAUSE_S = 300;

/**
 * Why AgentCore did not do what it was asked. `conflict`: the session is being made or taken down, which passes in seconds. `lost`: the
 * container did not come up, did not answer, or refused. `quota`: the account has as many sessions as it may. `gone`: there is no such
 * session, or no such runtime. The others are those of every service.
 */
export type TroubleKind = 'conflict' | 'lost' | 'quota' | 'gone' | 'throttled' | 'unavailable' | 'denied' | 'refused';

/** What AgentCore answered instead of doing it. */
export class SessionTrouble extends Error {
  readonly fault: TroubleKind;
  /** A try before this one was not answered: nobody knows whether it did what was asked. */
  readonly unheard: boolean;
  /** The same for whoever has no answer for the fault. */
  readonly error: ComputeError;

  constructor(fault: TroubleKind, error: ComputeError, unheard = false) {
    super(error.message, { cause: error });
    this.name = 'SessionTrouble';
    this.fault = fault;
    this.error = error;
    this.unheard = unheard;
  }
}

/** AgentCore itself, as far as runs need it: on AWS its data plane, on one machine processes. Both throw SessionTrouble. */
export interface SessionService {
  /** Passes the bytes to the session's container, which is made if there is none. Answers what the container says, whole. */
  invoke(session: AgentcoreHandle, payload: Uint8Array): Promise<string>;
  stop(session: AgentcoreHandle): Promise<void>;
}

/** What is known of a run by its own signs of life. */
export interface KnownLife {
  readonly life: Life;
  /** Whether anybody has claimed the attempt. */
  readonly claimed: boolean;
}

export interface SessionBackendOptions {
  readonly sessions: SessionService;
  /** Runtime, and endpoint of it, at which new sessions are started. */
  readonly runtimeArn: string;
  readonly qualifier: string;
  /**
   * Looks at the run's own record, consistently; undefined where there is no such run. AgentCore neither lists nor describes sessions,
   * so without this nothing could be said about one.
   */
  readonly lifeOf: (owner: SessionOwner) => Promise<KnownLife | undefined>;
  /** Shorter for tests. */
  readonly pauseSeconds?: number;
  /** Told what ended an attempt and what an operator must mend. */
  readonly failed?: (error: ComputeError) => void;
}

/**
 * Runs as sessions of AgentCore Runtime. The session id follows from the attempt, so a repeated start reaches the same session, where it
 * starts nothing; one that was stopped would begin again, and its run is turned away at the claim. What exists is stopped by its own
 * handle, never by what configuration says now.
 */
export function sessionBackend({
  sessions,
  runtimeArn,
  qualifier,
  lifeOf,
  pauseSeconds,
  failed,
}: SessionBackendOptions): AgentcoreBackend {
  return { sessionOf, start, stop, ask };

  function sessionOf(startedBy: string): AgentcoreHandle {
    const owner = parseStartedBy(startedBy);
    if (!owner) throw new BatonError('malformed_event', `startedBy: "${startedBy}" names no run`);
    return handleFor(owner);
  }

  function handleFor(owner: SessionOwner): AgentcoreHandle {
    return agentcoreHandle.parse({ backend: 'agentcore', runtimeArn, qualifier, sessionId: sessionIdOf(owner) });
  }

  async function start(run: StartSession): Promise<Started> {
    const { session } = run;
    const payload = payloadFor(run);
    if (typeof payload === 'string') return refused(payload);
    let answer: string;
    try {
      answer = await sessions.invoke(session, payload);
    } catch (error) {
      if (error instanceof SessionTrouble) return notStarted(error, run);
      throw error;
    }
    const told = acknowledged(answer);
    if (told === session.sessionId) return { outcome: 'started', handle: session };
    const reason = `The container of ${session.runtimeArn} does not answer as a runner of Baton does. ${told}`.trim();
    return (await stop(session)) === 'stopping' ? { ...refused(reason), isLeft: true } : refused(reason);
  }

  async function notStarted(trouble: SessionTrouble, { session, repeats }: StartSession): Promise<Started> {
    const { fault, message, error } = trouble;
    // The container may have begun before it was lost. Only a session that does not exist any more does nothing.
    if (fault === 'lost' && (await stop(session)) !== 'stopping') {
      return { outcome: 'refused', reason: because('never_started', message) };
    }
    const refusal = refusalOf(fault, message, pauseSeconds);
    // What is turned away at the door says nothing of an earlier call, which may have gone through, and taken the last of a quota.
    if (refusal === undefined || repeats === true || trouble.unheard) throw error;
    if (fault === 'denied' || fault === 'gone') failed?.(error);
    return refusal;
  }

  async function stop(given: Parameters<AgentcoreBackend['stop']>[0]): Promise<StopOutcome> {
    const handle = ownHandle('agentcore', given);
    try {
      await sessions.stop(handle);
      return 'stopping';
    } catch (error) {
      if (!(error instanceof SessionTrouble)) throw error;
      if (error.fault !== 'gone') throw error.error;
      // It has ended, or never was; who claimed has been.
      const owner = parseSessionId(handle.sessionId);
      return (owner && (await lifeOf(owner)))?.claimed ? 'already_ended' : 'not_found';
    }
  }

  /** A run that gives no sign of life is stopped: that is the only question about a session which AgentCore answers. */
  async function ask({
    startedBy,
    handle: given,
    isGone = false,
  }: Parameters<AgentcoreBackend['ask']>[0]): Promise<RunObservation[]> {
    const owner = parseStartedBy(startedBy);
    const known = owner && (await lifeOf(owner));
    if (!owner || !known) return [];
    const handle = given ? ownHandle('agentcore', given) : handleFor(owner);
    const { taskId, attempt } = owner;
    const seen = { taskId, attempt, nativeId: handle.sessionId, handle };
    switch (known.life) {
      case 'starting':
        return [{ ...seen, phase: 'starting' }];
      case 'alive':
        return [{ ...seen, phase: 'running' }];
      case 'silent':
      case 'over':
        // What nobody claimed has not shown that it runs, only that something was there to stop.
        if (!isGone && (await stop(handle)) === 'stopping') {
          return [{ ...seen, phase: known.claimed ? 'running' : 'starting' }];
        }
        return known.claimed ? [{ ...seen, phase: 'ended', end: endOf(known.life) }] : [];
    }
  }
}

type Started = StartOutcome<AgentcoreHandle>;

export interface LivesOver {
  readonly tasks: Pick<Tasks, 'get'>;
  readonly runs: Pick<Runs, 'get'>;
  readonly clock: Clock;
  readonly timings: () => Timings;
}

/** Signs of life of the run of an attempt, as its task and its record have them. */
export const livesOver =
  ({ tasks, runs, clock, timings }: LivesOver): SessionBackendOptions['lifeOf'] =>
  async ({ taskId, attempt }) => {
    const [task, record] = await Promise.all([tasks.get(taskId), runs.get(taskId, attempt)]);
    if (!record) return undefined;
    const claimed = record.claim !== undefined;
    // A run that must end is over, whatever its runner still writes: nobody has seen its last signs before, so that it would look alive for ever.
    if (!task || !works(task) || task.attempt !== attempt) return { life: 'over', claimed };
    return { life: lookAtLife(task.run, record, clock.now(), timings()).life, claimed };
  };

/** Is the task's run to go on? */
const works = (task: Task): task is TaskIn<'STARTING' | 'RUNNING' | 'FINALIZING'> =>
  task.status === 'STARTING' || task.status === 'RUNNING' || task.status === 'FINALIZING';

/** The bytes of an invocation, the same at every try; a sentence where there can be none. */
function payloadFor({ taskId, attempt, environment, session: { sessionId } }: StartSession): Uint8Array | string {
  const variables = Object.fromEntries(Object.entries(environment).sort(([one], [other]) => (one < other ? -1 : 1)));
  const parsed = sessionInvocation.safeParse({ schemaVersion: 1, sessionId, taskId, attempt, environment: variables });
  if (!parsed.success)
    return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  const bytes = Buffer.from(JSON.stringify(parsed.data));
  return bytes.length <= INVOCATION_MAX_BYTES
    ? bytes
    : `invocation: ${bytes.length} bytes, at most ${INVOCATION_MAX_BYTES}`;
}

/** The session that the container acknowledged; otherwise what it said. */
function acknowledged(text: string): string {
  try {
    return sessionAcknowledgement.parse(JSON.parse(text)).sessionId;
  } catch {
    return `It says: ${text.slice(0, 200)}`;
  }
}

/** Why nothing was started, where the answer says that for certain. */
function refusalOf(fault: TroubleKind, told: string, pauseSeconds: number | undefined): Started | undefined {
  switch (fault) {
    case 'quota':
      return { outcome: 'refused', reason: because('no_capacity', told), pauseSeconds: pauseSeconds ?? QUOTA_PAUSE_S };
    case 'throttled':
      return {
        outcome: 'refused',
        reason: because('start_throttled', told),
        pauseSeconds: pauseSeconds ?? THROTTLE_PAUSE_S,
      };
    case 'denied':
    case 'gone':
    case 'refused':
      return refused(told);
    case 'conflict':
    case 'lost':
    case 'unavailable':
      return undefined;
  }
}

const refused = (message: string): Extract<Started, { outcome: 'refused' }> => ({
  outcome: 'refused',
  reason: because('start_refused', message),
});

const endOf = (life: 'silent' | 'over'): NonNullable<RunObservation['end']> => ({
  kind: life === 'silent' ? 'lost' : 'stopped',
  reason: life === 'silent' ? GONE : ENDED,
});

const GONE: Reason = because('compute_gone', 'The run gave no sign of life any more, and its session is gone.');
const ENDED: Reason = because('stopped_outside', 'The session has ended.');

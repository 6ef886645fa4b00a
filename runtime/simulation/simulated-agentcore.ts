import { type AgentcoreHandle, type SessionInvocation, sessionInvocation } from '../../schemas/agentcore-session.ts';
import { ComputeError, type ErrorCode } from '../errors.ts';
import { type SessionService, SessionTrouble, type TroubleKind } from '../session-backend.ts';
import type { Gate, Scene } from './scene.ts';
import type { RunnerProcess } from './simulated-runner.ts';
import type { WatchedRun } from './watched-run.ts';

/** How long making a container may take, and taking one down, in parts of a heartbeat's interval: seconds on AWS, less on one machine. */
const MAKING_SHARE = 0.4;
const ENDING_SHARE = 0.75;
/** How long somebody who invokes waits for an answer, in milliseconds. */
const INVOKE_TIMEOUT_MS = 25_000;
/** How long after its making a session may lose its host, in milliseconds. */
const HOST_LOST_WITHIN_MS = 600_000;
/** How long after a stop an invocation of before may still arrive, in milliseconds. */
const AGAIN_WITHIN_MS = [2_000, 120_000, 900_000] as const;
/** Times that a session may be idle, and that it may live, as runtimes are set up in some worlds, in milliseconds. */
const IDLE_MS = [60_000, 900_000] as const;
const LIFETIME_MS = [300_000, 28_800_000, 28_800_000] as const;
/** Latest time at which another runtime is deployed, in milliseconds. */
const DEPLOYED_WITHIN_MS = 900_000;

const codes = {
  conflict: 'compute_unavailable',
  lost: 'compute_unavailable',
  quota: 'compute_capacity',
  gone: 'compute_invalid',
  throttled: 'compute_throttled',
  unavailable: 'compute_unavailable',
} as const satisfies Partial<Record<TroubleKind, ErrorCode>>;

const trouble = (kind: keyof typeof codes, message: string, unheard = false): SessionTrouble =>
  new SessionTrouble(kind, new ComputeError(codes[kind], `AgentCore: ${message}`), unheard);

/** One container of a session. Another one of the same name is another body. */
export interface SessionBody extends WatchedRun {
  /** Runtime, endpoint and session id. */
  readonly address: string;
  readonly number: number;
  readonly invocation: SessionInvocation;
  readonly madeAtMs: number;
  readonly upAtMs: number;
  phase: 'being made' | 'up' | 'being taken down' | 'gone';
  stopped: boolean;
  livesOn: boolean;
  claims: boolean;
  claimedAtMs?: number;
  /** An image of somebody else: it answers, and runs nothing. */
  readonly isStrange: boolean;
  /** Whoever invoked it was told that it did not come up. */
  unheardOf: boolean;
  process?: RunnerProcess;
}

/** Who watches what is asked of sessions. */
export interface SessionEars {
  sessionAsked(address: string, run: WatchedRun['spec']): void;
  sessionStopped(body: SessionBody): void;
  /** Whoever wanted to stop it was told that there is none. */
  sessionNotFound(sessionId: string): void;
  /** Somebody reached them during a replay. */
  reachedOut(what: string): void;
}

export interface SimulatedAgentcore {
  /** The data plane as one invocation of a handler sees it. */
  seenBy(gate: Gate): SessionService;
  /** The runtime at which new sessions are started at the moment. */
  runtimeArn(): string;
  readonly bodies: readonly SessionBody[];
}

const addressOf = ({ runtimeArn, qualifier, sessionId }: AgentcoreHandle): string =>
  `${runtimeArn}/${qualifier}/${sessionId}`;

/**
 * AgentCore Runtime as its documentation describes it, with the faults that the scene has: sessions by name, made when they are invoked,
 * which end without a word, and of which nothing can be asked. `boot` starts the process inside a container.
 */
export function simulatedAgentcore(
  scene: Scene,
  boot: (body: SessionBody, ended: () => void) => RunnerProcess,
  hear: SessionEars,
): SimulatedAgentcore {
  const { time, trace, timings, has } = scene;
  const random = scene.random.fork('agentcore');
  const bodies: SessionBody[] = [];
  const idleMs = random.pick(IDLE_MS);
  const lifetimeMs = has('silent-death') ? random.pick(LIFETIME_MS) : Math.max(...LIFETIME_MS);
  const deployedAtMs = has('new-base') ? time.nowMs() + random.int(0, DEPLOYED_WITHIN_MS) : Number.POSITIVE_INFINITY;
  const beatMs = timings.HEARTBEAT_S * 1_000;

  return { seenBy, runtimeArn, bodies };

  function runtimeArn(): string {
    const generation = time.nowMs() < deployedAtMs ? 1 : 2;
    return `arn:aws:bedrock-agentcore:local:000000000000:runtime/agent-${generation}`;
  }

  function seenBy(gate: Gate): SessionService {
    return {
      async invoke(session, payload) {
        await comesBy(`invoke ${session.sessionId}`);
        const invocation = sessionInvocation.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
        hear.sessionAsked(addressOf(session), invocation);
        const known = living(session);
        if (known && known.phase !== 'up') throw trouble('conflict', `${session.sessionId} is ${known.phase}`);
        const body = known ?? made(session, invocation);
        while (body.phase === 'being made') await gate.sleep(Math.max(1, body.upAtMs - time.nowMs()));
        await mayStayUnheard();
        if (body.phase !== 'up' || body.unheardOf) {
          body.unheardOf = true;
          throw trouble('lost', `the container of ${session.sessionId} does not answer`);
        }
        await gate.point(`invoked ${session.sessionId}`);
        return body.isStrange ? 'Hello from another image.' : acknowledgement(body, known === undefined);
      },
      async stop(session) {
        await comesBy(`stop ${session.sessionId}`);
        const body = living(session);
        if (!body) {
          hear.sessionNotFound(session.sessionId);
          throw trouble('gone', `there is no ${session.sessionId}`);
        }
        if (body.phase !== 'up') throw trouble('conflict', `${session.sessionId} is ${body.phase}`);
        hear.sessionStopped(body);
        stop(body, session);
        await gate.point(`stopped ${session.sessionId}`);
      },
    };

    async function comesBy(what: string): Promise<void> {
      await gate.point(`agentcore ${what}`);
      await gate.store.durable();
      if (gate.replay) hear.reachedOut(`agentcore ${what}`);
      if (has('throttled-start') && random.chance(0.2)) throw trouble('throttled', 'Rate exceeded.');
    }

    /** The answer comes late or never, or the client asked again and was refused then: nobody knows what the first call did. */
    async function mayStayUnheard(): Promise<void> {
      if (!has('late-handle') || !random.chance(0.3)) return;
      if (random.chance(0.5)) throw trouble(random.pick(['unavailable', 'throttled', 'quota']), 'no answer', true);
      await gate.sleep(random.int(1_000, INVOKE_TIMEOUT_MS));
    }
  }

  function living(session: AgentcoreHandle): SessionBody | undefined {
    const address = addressOf(session);
    return bodies.findLast((body) => body.address === address && body.phase !== 'gone');
  }

  /** Refused, or a new container under way. */
  function made(session: AgentcoreHandle, invocation: SessionInvocation): SessionBody {
    if (has('no-capacity') && random.chance(0.2)) {
      trace.line(`agentcore has no room for ${session.sessionId}`);
      throw random.chance(0.7) ? trouble('quota', 'too many sessions') : trouble('throttled', 'too many at once');
    }
    return create(session, invocation);
  }

  function create(session: AgentcoreHandle, invocation: SessionInvocation): SessionBody {
    const { taskId, attempt } = invocation;
    const body: SessionBody = {
      nativeId: session.sessionId,
      spec: { taskId, attempt },
      address: addressOf(session),
      number: bodies.length + 1,
      invocation,
      madeAtMs: time.nowMs(),
      upAtMs: time.nowMs() + random.int(10, beatMs * MAKING_SHARE),
      phase: 'being made',
      stopped: false,
      livesOn: false,
      claims: false,
      isStrange: has('unknown-status') && random.chance(0.1),
      unheardOf: false,
    };
    bodies.push(body);
    trace.line(`agentcore makes ${named(body)}`);
    time.at(body.upAtMs, () => comeUp(body, session));
    return body;
  }

  function comeUp(body: SessionBody, session: AgentcoreHandle): void {
    const fails = has('failing-start') && random.chance(0.2);
    if (fails && random.chance(0.5)) {
      gone(body);
      return;
    }
    body.phase = 'up';
    body.unheardOf = fails;
    trace.line(`agentcore has ${named(body)} up${fails ? ', and it does not answer' : ''}`);
    after(lifetimeMs, () => takeDown(body));
    // It may have begun all the same before it was lost to whoever invoked it.
    if (body.isStrange || (fails && random.chance(0.5))) idle(body);
    else begin(body);
    mayDie(body, session);
    if (has('session-again') && random.chance(0.2)) again(session, body.invocation);
  }

  function begin(body: SessionBody): void {
    body.process = boot(body, () => {
      delete body.process;
      idle(body);
    });
  }

  /** Nothing works in it: after a while it is taken down, and nobody hears of it. */
  function idle(body: SessionBody): void {
    after(idleMs, () => takeDown(body));
  }

  function mayDie(body: SessionBody, session: AgentcoreHandle): void {
    const dies = (has('silent-death') && random.chance(0.3)) || (has('runner-crash') && random.chance(0.1));
    const seemsDead = has('lives-on') && random.chance(0.3);
    if (!dies && !seemsDead) return;
    after(random.int(0, HOST_LOST_WITHIN_MS), () => {
      gone(body);
      if (has('session-again') && random.chance(0.5)) again(session, body.invocation);
    });
  }

  function stop(body: SessionBody, session: AgentcoreHandle): void {
    trace.line(`agentcore stops ${named(body)}`);
    if (has('session-again') && random.chance(0.5)) again(session, body.invocation);
    if (has('ignores-stop') && random.chance(0.3)) {
      trace.line(`${named(body)} ignores the stop`);
      if (random.chance(0.5)) after(random.int(1, 3_600) * 1_000, () => takeDown(body));
      return;
    }
    takeDown(body);
  }

  /** SIGTERM, and the end some seconds later. */
  function takeDown(body: SessionBody): void {
    if (body.phase !== 'up') return;
    body.phase = 'being taken down';
    body.process?.terminate();
    after(random.int(10, beatMs * ENDING_SHARE), () => gone(body));
  }

  function gone(body: SessionBody): void {
    if (body.phase === 'gone') return;
    body.phase = 'gone';
    body.stopped = true;
    body.livesOn = body.process !== undefined && has('lives-on') && random.chance(0.6);
    trace.line(`agentcore has ${named(body)} no more${body.livesOn ? ', yet it lives on' : ''}`);
    if (!body.livesOn) body.process?.kill();
  }

  /** An invocation of before arrives once more: a session that is there runs nothing anew, one that was stopped is made again. */
  function again(session: AgentcoreHandle, invocation: SessionInvocation): void {
    after(random.int(0, random.pick(AGAIN_WITHIN_MS)), () => {
      trace.line(`agentcore takes the invocation of ${session.sessionId} again`);
      if (!living(session)) create(session, invocation);
    });
  }

  function after(ms: number, work: () => void): void {
    time.at(time.nowMs() + ms, work);
  }
}

const named = ({ nativeId, number }: SessionBody): string => `${nativeId}/${number}`;

const acknowledgement = ({ nativeId, spec }: SessionBody, isNew: boolean): string =>
  JSON.stringify({ status: isNew ? 'accepted' : 'already', sessionId: nativeId, ...spec });

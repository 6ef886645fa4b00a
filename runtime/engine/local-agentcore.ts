import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SessionHealth } from '../../schemas/agentcore-session.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import type { ProcessIdentity, RunSpec } from '../../schemas/supervised-run.ts';
import { ComputeError } from '../errors.ts';
import { type Container, type ContainerAnswer, container } from './local-agentcore-container.ts';
import {
  hashOf,
  type LocalAgentcore,
  type LocalAgentcoreOptions,
  type SessionEnd,
  SessionFault,
  type SessionName,
  type SessionRecord,
  sessionKey,
  sessionLimits,
  sessionsIn,
} from './local-agentcore-session.ts';

/** Looks whether a container is up, or gone, this often: the wait is a few Node start-ups long. */
const CHANGING_POLL_MS = 25;
/** `onEnd` may fail this often before a session ends without it: an end must not wait for ever. */
const ON_END_TRIES = 5;
/** Output kept per container, in bytes, besides the last 64 KiB. */
const LOG_MAX_BYTES = 64 * 1024 * 1024;
/** What of a container's error goes into that of the call, in characters. */
const TOLD_MAX_CHARS = 500;

/** A session that has a container, or is being asked about. */
interface OpenSession {
  readonly name: SessionName;
  live?: { record: SessionRecord; readonly container: Container };
  isProvisioning: boolean;
  /** Pings in a row without an answer. */
  missed: number;
  endTries: number;
  timer?: NodeJS.Timeout;
  /** Calls that are not done, and the end of the last of them. */
  queued: number;
  turn: Promise<unknown>;
}

/**
 * AgentCore Runtime on this machine. Every session is a real server process under a supervisor; it tells nobody when it ends, lists
 * and describes nothing, and a session that ended starts again when it is invoked, as on AWS.
 */
export function localAgentcore(options: LocalAgentcoreOptions): LocalAgentcore {
  const { store, clock, stopTimeoutSeconds = 0 } = options;
  const limits = { ...sessionLimits, ...options.limits };
  const runsDir = join(resolve(options.dataDir), 'runs');
  const warn = options.warn ?? (() => undefined);
  const dirNameOf = options.dirNameOf ?? (({ sessionId }) => hashOf(sessionId));
  const open = new Map<string, OpenSession>();
  let closed = false;

  return {
    async invoke(name, payload, contentType) {
      fail('invoke', name);
      const session = opened(name);
      return inTurn(session, async () => {
        await look(session);
        if (session.live?.record.ending) throw new SessionFault('conflict', 'The session is being taken down.');
        const live = session.live ?? (await provision(session, payload));
        await keep(session, { ...live.record, invokedAt: clock.now() });
        return answered(live.container, name, payload, contentType);
      });
    },

    async stop(name) {
      fail('stop', name);
      const session = opened(name);
      if (session.isProvisioning) throw new SessionFault('conflict', 'The session is being made.');
      await inTurn(session, async () => {
        await look(session);
        if (!session.live) throw new SessionFault('not_found', `There is no session ${name.sessionId}.`);
        if (session.live.record.ending) throw new SessionFault('conflict', 'The session is being taken down.');
        if (!options.ignoresStop?.(name)) await end(session, 'stopped');
      });
    },

    async takeAway(name) {
      const session = opened(name);
      return inTurn(session, async () => {
        await look(session);
        if (!session.live || session.live.record.ending) return false;
        await end(session, 'taken away');
        return true;
      });
    },

    async recover() {
      for await (const record of sessionsIn(store)) {
        const session = opened(record.name);
        session.live = { record, container: containerAt(record.path, record.supervisor) };
        // Whoever was about to start it is gone. Where it was up, a directory that is missing says nothing of it.
        if (!record.supervisor) {
          session.live.container.abandon('the world ended while the container was being started');
        }
        await inTurn(session, () => look(session));
      }
    },

    logPath: (name) => join(runsDir, dirNameOf(name), RUN_FILES.log),

    async close() {
      closed = true;
      for (const session of open.values()) clearTimeout(session.timer);
      await Promise.allSettled([...open.values()].map(({ turn }) => turn));
    },
  };

  function fail(operation: 'invoke' | 'stop', name: SessionName): void {
    const fault = options.failing?.(operation, name);
    if (fault) throw fault;
  }

  function containerAt(path: string, supervisor?: ProcessIdentity): Container {
    return container(path, stopTimeoutSeconds * 1_000, supervisor);
  }

  function opened(name: SessionName): OpenSession {
    const key = sessionKey(name);
    const known = open.get(key);
    if (known) return known;
    const session = { name, isProvisioning: false, missed: 0, endTries: 0, queued: 0, turn: Promise.resolve() };
    open.set(key, session);
    return session;
  }

  /** One thing at a time per session, in the order of asking; then looks again when it is due. */
  function inTurn<Answer>(session: OpenSession, work: () => Promise<Answer>): Promise<Answer> {
    session.queued += 1;
    const answer = session.turn.then(work);
    const done = (): void => {
      session.queued -= 1;
      lookLater(session);
    };
    session.turn = answer.then(done, done);
    return answer;
  }

  function lookLater(session: OpenSession): void {
    clearTimeout(session.timer);
    if (!session.live && session.queued === 0) open.delete(sessionKey(session.name));
    if (closed || !session.live) return;
    const waitMs = session.live.record.ending ? CHANGING_POLL_MS : limits.pingIntervalMs;
    session.timer = setTimeout(() => {
      visit(session).catch((error) => warn(`${session.name.sessionId}: not looked at, tried again`, error));
    }, waitMs);
    session.timer.unref();
  }

  /** The ping has no turn: whoever wants to stop a session that does not answer must not wait for it. */
  async function visit(session: OpenSession): Promise<void> {
    const { live } = session;
    const health = live?.record.ending ? undefined : await live?.container.ping(limits.pingTimeoutMs);
    if (closed) return;
    await inTurn(session, async () => {
      await look(session);
      if (session.live && session.live === live && !live.record.ending) await judge(session, live.record, health);
    });
  }

  /** Compares what is known of a session with what there is of it. */
  async function look(session: OpenSession): Promise<void> {
    const { live } = session;
    if (!live) return;
    const { ending, startedAt } = live.record;
    if (await live.container.isGone()) return over(session, ending?.why ?? 'ended by itself');
    if (ending) return live.container.kill(sinceMs(ending.at));
    if (sinceMs(startedAt) >= limits.maxLifetimeMs) await end(session, 'lifetime');
  }

  async function judge(session: OpenSession, record: SessionRecord, health: SessionHealth | undefined): Promise<void> {
    session.missed = health ? 0 : session.missed + 1;
    if (session.missed >= limits.unhealthyPings) return end(session, 'unhealthy');
    if (health?.status !== 'Healthy') return;
    // A time that moves with every ping keeps a session for ever: that is the container's fault, here as there.
    const quietMs = Date.parse(clock.now()) - health.time_of_last_update * 1_000;
    if (Math.min(sinceMs(record.invokedAt), quietMs) >= limits.idleMs) await end(session, 'idle');
  }

  async function provision(session: OpenSession, payload: Buffer): Promise<NonNullable<OpenSession['live']>> {
    session.isProvisioning = true;
    try {
      const { name } = session;
      const at = clock.now();
      const path = nextPath(name);
      const record: SessionRecord = { schemaVersion: 1, name, path, startedAt: at, invokedAt: at };
      const put = await store.put(sessionKey(name), record, 'absent');
      if (put.outcome === 'conflict') {
        throw new ComputeError('compute_unavailable', `session ${name.sessionId} was changed by another process`);
      }
      await store.durable();
      const live = { record, container: containerAt(path) };
      Object.assign(session, { live, missed: 0, endTries: 0 });
      try {
        live.container.launch(specOf(name, path, payload), options.supervisorCommand);
      } catch (error) {
        live.container.abandon(String(error));
      }
      await healthy(session, live.container);
      const supervisor = live.container.supervisor();
      if (supervisor) await keep(session, { ...record, supervisor });
      await store.durable();
      return live;
    } finally {
      session.isProvisioning = false;
    }
  }

  async function healthy(session: OpenSession, started: Container): Promise<void> {
    const until = performance.now() + limits.provisionMs;
    while (!(await started.ping(limits.pingTimeoutMs))) {
      if (await started.isGone()) {
        await over(session, 'ended by itself');
        throw new SessionFault('container', 'The container ended before it was healthy.');
      }
      // Whoever takes the session up next waits for it, or ends it.
      if (closed) throw new SessionFault('internal', 'The world ends.');
      if (performance.now() > until) {
        await end(session, 'unhealthy');
        throw new SessionFault('container', 'The container was not healthy in time.');
      }
      await sleep(CHANGING_POLL_MS);
    }
  }

  async function answered(
    asked: Container,
    { sessionId }: SessionName,
    payload: Buffer,
    contentType: string,
  ): Promise<ContainerAnswer> {
    const headers = { 'content-type': contentType, 'x-amzn-bedrock-agentcore-runtime-session-id': sessionId };
    let answer: ContainerAnswer;
    try {
      answer = await asked.invoke(payload, headers, limits.invokeMs);
    } catch (error) {
      throw new SessionFault('container', `The container cannot be reached: ${String(error)}`);
    }
    if (answer.status >= 200 && answer.status < 300) return answer;
    const told = answer.body.toString('utf8').slice(0, TOLD_MAX_CHARS);
    throw new SessionFault('container', `Received error (${answer.status}) from runtime: ${told}`);
  }

  function specOf(name: SessionName, path: string, payload: Buffer): RunSpec {
    return {
      schemaVersion: 1,
      taskArn: name.sessionId,
      command: [...options.serverCommand],
      environment: {
        ...options.environment?.(name, payload),
        BATON_SESSION_HOST: '127.0.0.1',
        BATON_SESSION_PORT: '0',
        BATON_WORLD_FILE: resolve(options.worldFile),
        BATON_RUN_DIR: path,
        ...(stopTimeoutSeconds > 0 ? { BATON_STOP_TIMEOUT_S: String(stopTimeoutSeconds) } : {}),
      },
      cwd: path,
      stopTimeoutSeconds,
      logMaxBytes: LOG_MAX_BYTES,
    };
  }

  /** A supervisor starts one container per directory, ever. */
  function nextPath(name: SessionName): string {
    const first = join(runsDir, dirNameOf(name));
    let path = first;
    for (let number = 2; existsSync(path); number++) path = `${first}-${number}`;
    return path;
  }

  async function end(session: OpenSession, why: SessionEnd): Promise<void> {
    if (!session.live) return;
    await keep(session, { ...session.live.record, ending: { why, at: clock.now() } });
    await store.durable();
    session.live.container.kill(0);
  }

  async function over(session: OpenSession, why: SessionEnd): Promise<void> {
    const { name, live } = session;
    if (!live) return;
    try {
      await options.onEnd?.({ name, path: live.record.path, why });
    } catch (error) {
      warn(`${live.record.path}: the end was not taken`, error);
      session.endTries += 1;
      if (session.endTries < ON_END_TRIES) return;
    }
    await store.delete(sessionKey(name));
    delete session.live;
  }

  /** This process is the only writer of a session. */
  async function keep(session: OpenSession, record: SessionRecord): Promise<void> {
    if (!session.live) return;
    await store.put(sessionKey(session.name), record, 'any');
    session.live.record = record;
  }

  function sinceMs(at: string): number {
    return Date.parse(clock.now()) - Date.parse(at);
  }
}

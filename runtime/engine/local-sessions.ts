import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentcoreHandle } from '../../schemas/agentcore-session.ts';
import { ComputeError } from '../errors.ts';
import { type SessionService, SessionTrouble, type TroubleKind } from '../session-backend.ts';
import {
  type LocalAgentcore,
  SessionFault,
  type SessionFaultKind,
  type SessionName,
} from './local-agentcore-session.ts';

/** What the embedded AgentCore refuses, as the client of the real one would sort it. */
const troubles = {
  conflict: ['conflict', 'compute_unavailable'],
  not_found: ['gone', 'compute_invalid'],
  container: ['lost', 'compute_unavailable'],
  throttled: ['throttled', 'compute_throttled'],
  quota: ['quota', 'compute_capacity'],
  denied: ['denied', 'compute_denied'],
  internal: ['unavailable', 'compute_unavailable'],
} as const satisfies Record<SessionFaultKind, readonly [TroubleKind, string]>;

/**
 * Waits before a call is made once more to a session that is being made or taken down, in milliseconds: the client of AWS asks again by
 * itself, too. A container is killed within these, so that an ordinary stop is not given up.
 */
const CONFLICT_WAITS_MS = [100, 300, 1_000, 2_000];

/** The sessions of this machine as the back end asks for them, without the way through a protocol. */
export const localSessions = (agentcore: Pick<LocalAgentcore, 'invoke' | 'stop'>): SessionService => ({
  async invoke(session, payload) {
    const bytes = Buffer.from(payload);
    const { body } = await orTrouble(() =>
      unlessChanging(() => agentcore.invoke(nameOf(session), bytes, 'application/json')),
    );
    return body.toString('utf8');
  },
  stop: (session) => orTrouble(() => unlessChanging(() => agentcore.stop(nameOf(session)))),
});

const nameOf = ({ runtimeArn, qualifier, sessionId }: AgentcoreHandle): SessionName => ({
  runtimeArn,
  qualifier,
  sessionId,
});

async function unlessChanging<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (const waitMs of CONFLICT_WAITS_MS) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof SessionFault) || error.kind !== 'conflict') throw error;
    }
    await sleep(waitMs);
  }
  return call();
}

async function orTrouble<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof SessionFault)) throw error;
    const [kind, code] = troubles[error.kind];
    throw new SessionTrouble(kind, new ComputeError(code, `AgentCore: ${error.message}`, { cause: error }));
  }
}

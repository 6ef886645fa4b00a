import { ComputeError, type ErrorCode } from '../runtime/errors.ts';
import { type SessionService, SessionTrouble, type TroubleKind } from '../runtime/session-backend.ts';
import {
  type AgentcoreHandle,
  type SessionAcknowledgement,
  type SessionInvocation,
  sessionInvocation,
} from '../schemas/agentcore-session.ts';

/**
 * AgentCore in memory, below the real back end: what is stopped is gone at once, unless stops are ignored, and nothing is said of it. It
 * records what it was asked, and fails on request.
 */
export function sessionServiceTwin() {
  const calls: string[] = [];
  const asked: { session: AgentcoreHandle; invocation?: SessionInvocation }[] = [];
  const living = new Set<string>();
  let failures: unknown[] = [];
  let ignoresStops = false;

  const service: SessionService = {
    async invoke(session, payload) {
      const { sessionId } = session;
      const invocation = sessionInvocation.parse(JSON.parse(Buffer.from(payload).toString()));
      const { taskId, attempt } = invocation;
      asked.push({ session, invocation });
      record('invoke', sessionId);
      const status = living.has(sessionId) ? 'already' : 'accepted';
      living.add(sessionId);
      return JSON.stringify({ status, sessionId, taskId, attempt } satisfies SessionAcknowledgement);
    },
    async stop(session) {
      const { sessionId } = session;
      asked.push({ session });
      record('stop', sessionId);
      if (!living.has(sessionId)) throw trouble('gone', 'compute_invalid');
      if (!ignoresStops) living.delete(sessionId);
    },
  };

  return {
    service,
    /** `invoke <session>`, `stop <session>`, in order. */
    calls,
    /** Which session, at which runtime and endpoint, and what it was invoked with. */
    asked,
    living,
    /** The next call throws this, and does nothing. */
    failNext: (fault: TroubleKind, code: ErrorCode) => void failures.push(trouble(fault, code)),
    /** Stops are taken, but nothing ends. */
    ignoreStops: () => {
      ignoresStops = true;
    },
  };

  function record(what: string, of: string): void {
    calls.push(`${what} ${of}`);
    const [failure, ...rest] = failures;
    failures = rest;
    if (failure !== undefined) throw failure;
  }
}

const trouble = (fault: TroubleKind, code: ErrorCode): SessionTrouble =>
  new SessionTrouble(fault, new ComputeError(code, `AgentCore: ${fault}`));

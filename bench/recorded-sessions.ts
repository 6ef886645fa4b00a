import type { SessionInvocation } from '../schemas/agentcore-session.ts';
import type { Answer } from './recording-transport.ts';

/** AgentCore as a budget needs it: a session that is invoked begins at once, and one that is stopped is gone when it is stopped again. */
export function recordedSessions() {
  const living = new Set<string>();
  const begun: string[] = [];
  return {
    /** Sessions that were begun, in order. */
    begun,
    services: {
      'bedrock-agentcore InvokeAgentRuntime': ({ session, text }) => {
        const { taskId, attempt } = JSON.parse(String(text)) as SessionInvocation;
        const sessionId = String(session);
        const status = living.has(sessionId) ? 'already' : 'accepted';
        if (status === 'accepted') begun.push(sessionId);
        living.add(sessionId);
        return { json: { status, sessionId, taskId, attempt } };
      },
      'bedrock-agentcore StopRuntimeSession': ({ session }) =>
        living.delete(String(session))
          ? { json: {} }
          : { error: 'ResourceNotFoundException', json: { message: 'There is no such session.' } },
    } satisfies Readonly<Record<string, (input: Record<string, unknown>) => Answer>>,
  };
}

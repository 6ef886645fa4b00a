import { describe, expect, it } from '@jest/globals';
import { SessionFault, type SessionFaultKind } from '../../../runtime/engine/local-agentcore-session.ts';
import { localSessions } from '../../../runtime/engine/local-sessions.ts';
import type { TroubleKind } from '../../../runtime/session-backend.ts';
import { aSession } from '../../builders.ts';

/** What the embedded AgentCore refuses, and what the client of the real one would make of it. */
const TROUBLES: Record<SessionFaultKind, { fault: TroubleKind; code: string; retry: string }> = {
  conflict: { fault: 'conflict', code: 'compute_unavailable', retry: 'soon' },
  not_found: { fault: 'gone', code: 'compute_invalid', retry: 'never' },
  container: { fault: 'lost', code: 'compute_unavailable', retry: 'soon' },
  throttled: { fault: 'throttled', code: 'compute_throttled', retry: 'soon' },
  quota: { fault: 'quota', code: 'compute_capacity', retry: 'soon' },
  denied: { fault: 'denied', code: 'compute_denied', retry: 'never' },
  internal: { fault: 'unavailable', code: 'compute_unavailable', retry: 'soon' },
};

const throwing = (error: unknown) => {
  const fail = async () => Promise.reject(error);
  return localSessions({ invoke: fail, stop: fail });
};

describe('the sessions of this machine', () => {
  it.each(Object.entries(TROUBLES))(
    'tell a fault as AWS would, on both calls: %s',
    async (kind, { fault, code, retry }) => {
      const sessions = throwing(new SessionFault(kind as SessionFaultKind, 'because'));
      const trouble = { fault, unheard: false, error: { code, retry, message: 'AgentCore: because' } };
      await expect(sessions.invoke(aSession(), Buffer.from('{}'))).rejects.toMatchObject(trouble);
      await expect(sessions.stop(aSession())).rejects.toMatchObject(trouble);
    },
  );

  it('are asked again while a session is being made or taken down, as the client of AWS does by itself', async () => {
    let stops = 0;
    const sessions = localSessions({
      invoke: async () => Promise.reject(new Error('not asked')),
      stop: async () => {
        stops += 1;
        if (stops < 3) throw new SessionFault('conflict', 'The session is being taken down.');
        throw new SessionFault('not_found', 'There is no such session.');
      },
    });
    await expect(sessions.stop(aSession())).rejects.toMatchObject({ fault: 'gone' });
    expect(stops).toBe(3);
  });

  it('leave what is no refusal as it is', async () => {
    const broken = new Error('disk full');
    await expect(throwing(broken).stop(aSession())).rejects.toBe(broken);
  });

  it('are named by runtime, endpoint and id, and get the payload as it is', async () => {
    const asked: unknown[] = [];
    const sessions = localSessions({
      invoke: async (name, payload, contentType) => {
        asked.push({ name, payload: payload.toString(), contentType });
        return { status: 200, contentType: 'application/json', body: Buffer.from('told') };
      },
      stop: async (name) => void asked.push({ name }),
    });
    const { backend: _none, ...name } = aSession();
    expect(await sessions.invoke(aSession(), Buffer.from('{"a":1}'))).toBe('told');
    await sessions.stop(aSession());
    expect(asked).toEqual([{ name, payload: '{"a":1}', contentType: 'application/json' }, { name }]);
  });
});

import { describe, expect, it } from '@jest/globals';
import { compute } from '../../schemas/compute.ts';
import { nativeIdOf, ownHandle, type RunHandle, runHandle } from '../../schemas/run-handle.ts';
import { aHandle, anArn, aSession, aTaskId } from '../builders.ts';

/** One of each back end, what its claimant shows, and everything that stopping it needs (A32). */
const handles: Record<RunHandle['backend'], { handle: RunHandle; nativeId: string; needs: readonly string[] }> = {
  ecs: {
    handle: aHandle(),
    nativeId: anArn(),
    needs: ['taskArn', 'clusterArn', 'taskDefinitionArn', 'region'],
  },
  agentcore: {
    handle: aSession(),
    nativeId: aSession().sessionId,
    needs: ['runtimeArn', 'qualifier', 'sessionId'],
  },
  ec2: {
    handle: {
      backend: 'ec2',
      fleet: 'main',
      instanceId: 'i-0123456789abcdef0',
      region: 'eu-west-1',
      taskId: aTaskId(),
      attempt: 1,
    },
    nativeId: `i-0123456789abcdef0/${aTaskId()}/1`,
    needs: ['fleet', 'instanceId', 'region', 'taskId', 'attempt'],
  },
};

// A2
describe.each(compute.options)('the handle of a run on %s', (backend) => {
  const { handle, nativeId, needs } = handles[backend];

  it('survives a JSON round trip, whole', () => {
    expect(runHandle.parse(JSON.parse(JSON.stringify(handle)))).toEqual(handle);
    expect(Object.keys(handle).sort()).toEqual(['backend', ...needs].sort());
  });

  it('names who claims', () => {
    expect(nativeIdOf(handle)).toBe(nativeId);
  });

  it.each(needs)('without %s is refused', (field) => {
    const { [field]: _gone, ...rest } = handle as Record<string, unknown>;
    expect(runHandle.safeParse(rest).success).toBe(false);
  });

  // A32: what belongs to one back end must not be asked of another.
  it('is taken by its own back end, and by no other', () => {
    for (const asked of compute.options) {
      if (asked === backend) expect(ownHandle(asked, handle)).toBe(handle);
      else expect(() => ownHandle(asked, handle)).toThrow(backend);
    }
  });
});

describe('the handle of a run', () => {
  it('on an unknown back end is refused', () => {
    expect(runHandle.safeParse({ ...aHandle(), backend: 'mainframe' }).success).toBe(false);
  });

  it.each(['short', `${'x'.repeat(101)}`, `baton/${'x'.repeat(40)}`])(
    'as a session that AgentCore would not take is refused: %s',
    (sessionId) => {
      expect(runHandle.safeParse({ ...aSession(), sessionId }).success).toBe(false);
    },
  );
});

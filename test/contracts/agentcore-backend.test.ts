import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore';
import { lookAtLife, type SeenLife } from '../../lifecycle/life-signs.ts';
import { agentcoreSessions } from '../../runtime/aws/agentcore-sessions.ts';
import { agentcoreService } from '../../runtime/endpoint/aws/agentcore.ts';
import type { LocalAgentcore } from '../../runtime/engine/local-agentcore-session.ts';
import { localSessions } from '../../runtime/engine/local-sessions.ts';
import { type KnownLife, type SessionService, SessionTrouble, sessionBackend } from '../../runtime/session-backend.ts';
import { type AgentcoreHandle, type SessionOwner, sessionIdOf } from '../../schemas/agentcore-session.ts';
import { aRunRecord } from '../builders.ts';
import { served } from '../runtime/aws/served.ts';
import { agentcoreWorld, RUNTIME_ARN, servedBy } from '../runtime/engine/local-agentcore-fixture.ts';
import { aRun, eventually } from '../runtime/engine/local-ecs-fixture.ts';
import { sessionServiceTwin } from '../sessions-twin.ts';
import { type ComputeBackendHarness, computeBackendContract } from './compute-backend.ts';

/** A runner in words of the shell: it claims, beats as long as it lives, and does what its payload says. */
const RUNNER = [
  '/bin/sh',
  '-c',
  'touch beat claimed; (while :; do touch beat; sleep 0.1; done) & eval "$BATON_PAYLOAD"',
];
/** Ten beats: this machine may be busy. */
const WAITS = { START_CHECK_S: 60, HEARTBEAT_SILENCE_S: 1 };
const PLACE = { runtimeArn: RUNTIME_ARN, qualifier: 'DEFAULT' };

const unknownHandle: AgentcoreHandle = {
  backend: 'agentcore',
  ...PLACE,
  sessionId: sessionIdOf({ stage: 'local', taskId: `t${'0'.repeat(24)}`, attempt: 1 }),
};

computeBackendContract('AgentCore, as its client sees it', () =>
  aHarness(async (agentcore) => {
    const service = await served([
      agentcoreService({ sessions: agentcore, runtimes: [RUNTIME_ARN], qualifiers: ['DEFAULT'] }),
    ]);
    // The client itself asks again while a session is being taken down.
    const client = new BedrockAgentCoreClient({ ...service.client, maxAttempts: 8 });
    return {
      sessions: agentcoreSessions(client),
      close: async () => {
        client.destroy();
        await service.close();
      },
    };
  }),
);

computeBackendContract('embedded AgentCore', () =>
  aHarness(async (agentcore) => ({ sessions: patient(localSessions(agentcore)), close: async () => undefined })),
);

computeBackendContract('AgentCore in memory, of the handler tests', async () => {
  const { service, living } = sessionServiceTwin();
  const stopped = new Set<string>();
  const quits = new Set<string>();
  const begun = new Set<string>();
  const backend = sessionBackend({
    ...PLACE,
    sessions: service,
    lifeOf: async (owner) => {
      const id = sessionIdOf(owner);
      if (!begun.has(id)) return undefined;
      return { life: stopped.has(id) ? 'over' : quits.has(id) ? 'silent' : 'alive', claimed: true };
    },
  });
  return {
    compute: {
      start: async (run) => {
        const session = backend.sessionOf(run.startedBy);
        const started = await backend.start({ ...run, session });
        if (living.has(session.sessionId)) begun.add(session.sessionId);
        return started;
      },
      stop: async (handle, reason) => {
        if (handle.backend === 'agentcore') stopped.add(handle.sessionId);
        return backend.stop(handle, reason);
      },
      ask: backend.ask,
    },
    aRun: (behaviour) => {
      const run = aRun('');
      if (behaviour !== 'goes on') quits.add(backend.sessionOf(run.startedBy).sessionId);
      return { ...run, command: [] };
    },
    unknownHandle,
    tellsExitCodes: false,
    close: async () => undefined,
  };
});

/** The back end over real containers, which are reached in one way or the other. */
async function aHarness(
  reach: (agentcore: LocalAgentcore) => Promise<{ sessions: SessionService; close: () => Promise<void> }>,
): Promise<ComputeBackendHarness> {
  const world = await agentcoreWorld({ serverCommand: servedBy(...RUNNER) });
  const { sessions, close } = await reach(world.agentcore);
  const records = recordsIn(join(world.dataDir, 'runs'));
  const backend = sessionBackend({ ...PLACE, sessions, lifeOf: async (owner) => records.lifeOf(owner) });
  return {
    compute: {
      start: async (run) => {
        const started = await backend.start({ ...run, session: backend.sessionOf(run.startedBy) });
        if (started.outcome === 'started') {
          await eventually(() => records.hasClaim(started.handle.sessionId), 'the claim of the run');
        }
        return started;
      },
      stop: async (handle, reason) => {
        if (handle.backend === 'agentcore') records.forbidClaim(handle.sessionId);
        return backend.stop(handle, reason);
      },
      ask: backend.ask,
    },
    aRun: (behaviour) => {
      const script = behaviour === 'goes on' ? 'sleep 300' : `exit ${behaviour.exitCode}`;
      const run = aRun('');
      return { ...run, command: [], environment: { ...run.environment, BATON_PAYLOAD: script } };
    },
    unknownHandle,
    tellsExitCodes: false,
    close: async () => {
      await close();
      await world.close();
    },
  };
}

/** Tries of a call while a session is made or taken down, which takes a few processes' ends. */
const TRIES = 100;

/** Asks again while a session is being taken down: on AWS its client does that, on one machine the delivery that comes again. */
function patient(sessions: SessionService): SessionService {
  return {
    invoke: (session, payload) => again(() => sessions.invoke(session, payload)),
    stop: (session) => again(() => sessions.stop(session)),
  };

  async function again<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof SessionTrouble) || error.fault !== 'conflict' || tries === TRIES) throw error;
        await sleep(50);
      }
    }
  }
}

/** The run records, as far as these runners leave any: in files of their directories. */
function recordsIn(runsDir: string) {
  const seen = new Map<string, SeenLife>();
  const file = (sessionId: string, name: string): string => join(runsDir, sessionId, name);
  const changedAt = (path: string): string => statSync(path).mtime.toISOString();
  return {
    hasClaim: (sessionId: string): boolean => existsSync(file(sessionId, 'claimed')),
    /** As whoever stops a run does first. */
    forbidClaim(sessionId: string): void {
      if (existsSync(file(sessionId, ''))) writeFileSync(file(sessionId, 'no-claim'), '');
    },
    lifeOf(owner: SessionOwner): KnownLife | undefined {
      const sessionId = sessionIdOf(owner);
      const claimed = file(sessionId, 'claimed');
      if (!existsSync(claimed)) return undefined;
      const record = aRunRecord({
        claim: { nativeId: sessionId, at: changedAt(claimed) },
        heartbeatAt: changedAt(file(sessionId, 'beat')),
        noClaim: existsSync(file(sessionId, 'no-claim')),
      });
      const before = seen.get(sessionId);
      const run = { dispatchedAt: changedAt(claimed), ...(before ? { life: before } : {}) };
      const looked = lookAtLife(run, record, new Date().toISOString(), WAITS);
      seen.set(sessionId, looked.seen);
      return { life: looked.life, claimed: true };
    },
  };
}

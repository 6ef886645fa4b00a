import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore';
import { afterEach, describe, expect, it } from '@jest/globals';
import { startedByOf } from '../../lifecycle/ecs-task.ts';
import { type Life, lookAtLife, type SeenLife } from '../../lifecycle/life-signs.ts';
import { agentcoreSessions } from '../../runtime/aws/agentcore-sessions.ts';
import { agentcoreService } from '../../runtime/endpoint/aws/agentcore.ts';
import { awsEndpoint } from '../../runtime/endpoint/aws/aws-endpoint.ts';
import { loopbackServer } from '../../runtime/endpoint/loopback-server.ts';
import { PAYLOAD_SECRET_NAME, payloadSecrets } from '../../runtime/endpoint/payload-secret.ts';
import { runRoutes } from '../../runtime/endpoint/run-routes.ts';
import { createEngine } from '../../runtime/engine/engine.ts';
import { localAgentcore } from '../../runtime/engine/local-agentcore.ts';
import type { SessionName } from '../../runtime/engine/local-agentcore-session.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import { realScheduler } from '../../runtime/engine/scheduler.ts';
import type { StartSession } from '../../runtime/ports.ts';
import { sessionBackend } from '../../runtime/session-backend.ts';
import { sessionIdOf, sessionInvocation } from '../../schemas/agentcore-session.ts';
import type { RunPayload } from '../../schemas/run-payload.ts';
import { commitTo, git } from '../agent/scene.ts';
import { aTaskId, testTimings } from '../builders.ts';
import { programs } from '../programs.ts';
import { clientConfig } from '../runtime/aws/wire.ts';
import { RUNTIME_ARN } from '../runtime/engine/local-agentcore-fixture.ts';
import { eventually } from '../runtime/engine/local-ecs-fixture.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';

const SECRET = 'secret of the deployment';
const TASK = aTaskId();
const OWNER = { stage: 'test', taskId: TASK, attempt: 1 };
const NAME: SessionName = { runtimeArn: RUNTIME_ARN, qualifier: 'DEFAULT', sessionId: sessionIdOf(OWNER) };
/** Silence of ten beats, on a machine that may be busy. */
const BEAT_S = '0.2';
const WAITS = { START_CHECK_S: 60, HEARTBEAT_SILENCE_S: 2 };

let scene: Awaited<ReturnType<typeof aScene>> | undefined;
afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

/** One attempt on AgentCore: SDK adapter, endpoint, embedded service, container, runner, run record; nothing of it is played. */
async function aScene(agentCommand: string) {
  const folder = sceneFolder();
  const remote = join(folder, 'remote.git');
  const worldFile = join(folder, 'world.json');
  mkdirSync(join(folder, 'home'));
  git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', remote);
  commitTo(folder, remote, 'main', 'README.md', 'a sample\n');

  const store = memoryStore({ freezeValues: true });
  const secrets = payloadSecrets(SECRET);
  const engine = createEngine({
    store,
    scheduler: realScheduler(),
    reactions: [],
    secret: SECRET,
    limitOf: () => 1,
    settings: {
      stage: OWNER.stage,
      timings: testTimings,
      defaultAgentCommand: 'agent',
      agentCommandAllowed: true,
      screening: 'off',
      computes: ['ecs'],
      fleets: [],
      slotKeyOf: ({ userId }) => userId,
    },
    outside: () => ({}),
  });
  const { runs, payloads, clock } = engine.ports;
  const said: string[] = [];
  engine.bus.listen((event) => said.push(event['detail-type']));
  const agentcore = localAgentcore({
    store,
    clock,
    dataDir: folder,
    worldFile,
    serverCommand: [...programs.runner, 'serve'],
    supervisorCommand: programs.supervisor,
    limits: { pingIntervalMs: 100 },
    dirNameOf: () => 'session',
    environment: (_, payload) => {
      const { BATON_PAYLOAD: reference = '' } = sessionInvocation.parse(JSON.parse(payload.toString())).environment;
      return { BATON_HEARTBEAT_S: BEAT_S, HOME: join(folder, 'home'), [PAYLOAD_SECRET_NAME]: secrets.of(reference) };
    },
  });
  const server = await loopbackServer(0);
  const services = [agentcoreService({ sessions: agentcore, runtimes: [RUNTIME_ARN], qualifiers: ['DEFAULT'] })];
  server.serve(runRoutes(engine, secrets), awsEndpoint(services));
  writeFileSync(worldFile, JSON.stringify({ url: server.url }));

  const client = new BedrockAgentCoreClient({ ...clientConfig(server.url), maxAttempts: 8 });
  let seen: SeenLife | undefined;
  const look = async (): Promise<{ life: Life; claimed: boolean } | undefined> => {
    const record = await runs.get(TASK, 1);
    if (!record) return undefined;
    const looked = lookAtLife(
      { dispatchedAt: record.openedAt, ...(seen ? { life: seen } : {}) },
      record,
      clock.now(),
      WAITS,
    );
    seen = looked.seen;
    return { life: looked.life, claimed: record.claim !== undefined };
  };
  const compute = sessionBackend({
    sessions: agentcoreSessions(client),
    runtimeArn: RUNTIME_ARN,
    qualifier: 'DEFAULT',
    lifeOf: look,
  });

  const { token } = await runs.open(TASK, 1);
  const reference = await payloads.put(
    TASK,
    JSON.stringify({
      schemaVersion: 1,
      taskId: TASK,
      attempt: 1,
      runToken: token,
      repository: remote,
      branch: `baton/${TASK}`,
      prompt: 'Write a greeting',
      agentCommand: agentCommand.replaceAll('$FOLDER', folder),
      deadlineAt: new Date(Date.now() + 3_600_000).toISOString(),
    } satisfies RunPayload),
  );
  const run: StartSession = {
    taskId: TASK,
    attempt: 1,
    startedBy: startedByOf(OWNER.stage, TASK, 1),
    clientToken: `${TASK}-1`,
    environment: { BATON_TASK_ID: TASK, BATON_ATTEMPT: '1', BATON_PAYLOAD: reference },
    command: [],
    session: { backend: 'agentcore', ...NAME },
  };
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const start = async (repeats = false) => {
    const started = await compute.start(repeats ? { ...run, repeats } : run);
    if (started.outcome === 'refused') throw new Error(started.reason.message);
    return started.handle;
  };
  return {
    runs,
    agentcore,
    compute,
    look,
    start,
    ask: () => compute.ask({ startedBy: run.startedBy }),
    record: () => runs.get(TASK, 1),
    /** What the runner told the bus. */
    said: () => said,
    /** What the agent wrote down of itself, outside its workspace. */
    note: () => read(join(folder, 'note')),
    log: (nth = 1) => read(join(folder, 'runs', nth === 1 ? 'session' : `session-${nth}`, 'agent.log')),
    inRemote: (...args: string[]) => git(remote, ...args),
    /** Asks as handlers do, again and again, until the session is known to be gone. */
    async gone() {
      for (const until = Date.now() + 15_000; Date.now() < until; ) {
        const [one] = await compute.ask({ startedBy: run.startedBy });
        if (!one || one.phase === 'ended') return one;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error('the session did not end');
    },
    async close() {
      await agentcore.close();
      client.destroy();
      await server.close();
      await engine.stop();
      await store.close();
      await putAway(folder);
    },
  };
}

const LIVES_ON = 'echo run >> $FOLDER/note; echo up; exec sleep 300';

async function running(agentCommand: string): Promise<NonNullable<typeof scene>> {
  const opened = await aScene(agentCommand);
  scene = opened;
  await opened.start();
  await eventually(() => opened.note() !== '', 'the agent');
  return opened;
}

describe('an attempt on AgentCore', () => {
  it('claims as its session, pushes, reports, and its session ends when it is stopped', async () => {
    const opened = await aScene('echo hello > greeting.txt');
    scene = opened;
    const handle = await opened.start();
    await eventually(() => opened.said().includes('RunReported'), 'its report');
    expect(await opened.record()).toMatchObject({
      claim: { nativeId: handle.sessionId },
      report: { outcome: 'succeeded' },
    });
    expect(opened.inRemote('show', `baton/${TASK}:greeting.txt`)).toBe('hello\n');
    // The session itself would idle on, and cost, until its time-out.
    expect(await opened.compute.stop(handle, 'its task has ended')).toBe('stopping');
    expect(await opened.gone()).toMatchObject({ phase: 'ended' });
    expect(await opened.compute.stop(handle, 'its task has ended')).toBe('already_ended');
  });

  // A stopped session that is invoked again runs again: on AWS as here.
  it('does not run again when its start comes a second time after its stop', async () => {
    const opened = await running(LIVES_ON);
    const handle = { backend: 'agentcore' as const, ...NAME };
    await opened.runs.forbidClaim(TASK, 1);
    await opened.compute.stop(handle, 'cancelled');
    await opened.gone();
    const before = await opened.record();
    expect(await opened.start(true)).toEqual(handle);
    await eventually(() => opened.log(2).includes('has ended with 79'), 'the second container to be turned away');
    expect(opened.log(2)).not.toContain('cloning');
    expect(opened.note()).toBe('run\n');
    expect(await opened.record()).toEqual(before);
  });

  it('does not run again either when nobody has noticed yet that its session is gone', async () => {
    const opened = await running(LIVES_ON);
    await opened.agentcore.takeAway(NAME);
    await eventually(() => opened.log(1).includes('up'), 'its log');
    // While it is being taken down, the client is told to come back, and does.
    await opened.start(true);
    await eventually(() => opened.log(2).includes('has ended with 79'), 'the second container to be turned away');
    expect(opened.note()).toBe('run\n');
  });

  it('that comes twice at the same time runs once', async () => {
    const opened = await aScene(LIVES_ON);
    scene = opened;
    const handles = await Promise.all([opened.start(), opened.start(true), opened.start(true)]);
    expect(new Set(handles.map(({ sessionId }) => sessionId)).size).toBe(1);
    await eventually(() => opened.note() !== '', 'the agent');
    expect(opened.note()).toBe('run\n');
    expect(opened.log(2)).toBe('');
  });
});

describe('life and death of an attempt on AgentCore', () => {
  // F24: its machine goes away, and nobody says so.
  it('is found dead by its silence, and only after its session is known to be gone', async () => {
    const opened = await running(LIVES_ON);
    expect(await opened.ask()).toMatchObject([{ phase: 'running' }]);
    await opened.agentcore.takeAway(NAME);
    expect(await opened.gone()).toMatchObject({
      phase: 'ended',
      end: { kind: 'lost', reason: { code: 'compute_gone' } },
    });
  });

  // F27
  it('is alive through a tool call that says nothing for as long as silence counts as death', async () => {
    const opened = await running('echo run >> $FOLDER/note; exec sleep 300');
    const lives = new Set<Life | undefined>();
    const beats = new Set<string | undefined>();
    while (beats.size <= 2 * (WAITS.HEARTBEAT_SILENCE_S / Number(BEAT_S))) {
      lives.add((await opened.look())?.life);
      beats.add((await opened.record())?.heartbeatAt);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect([...lives]).toEqual(['alive']);
    expect((await opened.record())?.firstOutputAt).toBeUndefined();
  });
});

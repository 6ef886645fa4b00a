import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { taskIdFor, USER_DEFAULT } from '../../runtime/task-id.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { runKey } from '../../schemas/record-keys.ts';
import { supervisorRecord } from '../../schemas/supervised-run.ts';
import { configure } from '../flows/configure.ts';
import { onLoopback, openLoopbackScene } from '../flows/every-world.ts';
import { eventually, type FlowScene, linesOf, lives, numberIn, sampleRepository } from '../flows/scene.ts';
import type { LoopbackWorld } from './aws-on-loopback.ts';
import type { CallFault } from './watched-calls.ts';

type Scene = FlowScene<LoopbackWorld>;

/** A task of whose runner no word arrives, and one whose session takes every stop and lives on; known before they are asked for. */
const unheard = { idempotencyKey: 'unheard' };
const deaf = { idempotencyKey: 'deaf' };
/** A task whose start dies without the answer, and whose claim nobody hears of, so that the start is repeated while the run works. */
const repeated = { idempotencyKey: 'after' };
const idOf = ({ idempotencyKey: key }: typeof unheard): string => taskIdFor(USER_DEFAULT, { key });

onLoopback(() => {
  // Most of the time each of these tasks waits for something else, so they run beside each other. Every event is delivered twice.
  describe('tasks of a deployment whose default back end is AgentCore', () => {
    let scene: Scene;
    let dying: Promise<string>;
    let timingOut: Promise<string>;
    let unheardOf: Promise<string>;
    beforeAll(async () => {
      const loses = (event: Envelope): boolean => event.source === 'baton.agent' && taskIdOf(event) === idOf(unheard);
      scene = await openLoopbackScene({ computes: ['agentcore', 'ecs'], limit: 12, copies: 2, loses });
      dying = killed(scene);
      timingOut = scene.submit(stubborn('TIMED_OUT'), { timeoutSeconds: TIMEOUT_S });
      unheardOf = scene.submit(`while [ ! -e ${join(scene.folder, 'gate')} ]; do sleep 0.1; done; echo x > x`, unheard);
      await Promise.all([timingOut, unheardOf]);
    });
    afterAll(() => scene.close());

    const stubborn = (file: string): string =>
      `trap "" TERM; echo $$ > ${join(scene.folder, file)}; while :; do sleep 0.2; done`;

    // A29
    it('complete there with their work pushed; their session is stopped, and gone when they settle', async () => {
      const taskId = await scene.submit('cat > hello.txt; echo "said hello"', { prompt: 'Say "hello"' });
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1, compute: 'agentcore', due: {} });
      expect(scene.inRemote('show', `baton/${taskId}:hello.txt`)).toBe('Say "hello"');
      // Every event came twice.
      expect(task.duplicates).toBeGreaterThan(0);
      expect(scene.inRemote('rev-list', '--count', `main..baton/${taskId}`)).toBe('1');
      // On a busy machine a look may find the claim or the report before the word of it comes.
      expect(task.history.map(({ to }) => to)).toEqual([
        'SUBMITTED',
        'ADMITTED',
        'HYDRATED',
        'STARTING',
        'RUNNING',
        'COMPLETED',
      ]);
      expect(task.run).toMatchObject({ nativeId: `baton-loopback-${taskId}-1`, ended: { proof: 'proven' } });
      expect(await livesOf(scene, taskId)).toEqual([false, false]);
      expect(await scene.log(taskId)).toMatch(/^said hello$/m);
    });

    it('fail at once when their agent fails, with its words and its work saved', async () => {
      const taskId = await scene.submit('echo half > half.txt; echo "cannot go on" >&2; exit 3');
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'agent_failed' } });
      expect(task.reason?.message).toMatch(/exit code 3.*cannot go on/s);
      expect(scene.inRemote('show', `baton/${taskId}:half.txt`)).toBe('half');
    });

    it.each([
      ['CANCELLED', 'cancelled'],
      ['TIMED_OUT', 'timed_out'],
    ])('are %s at work, and nothing of their session is left', async (status, code) => {
      const taskId = await (status === 'TIMED_OUT' ? timingOut : scene.submit(stubborn(status)));
      const agent = await numberIn(join(scene.folder, status));
      if (status === 'CANCELLED') await scene.world.cancel(taskId, 'not needed any more');
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status, attempt: 1, reason: { code }, run: { ended: { proof: 'proven' } } });
      expect([lives(agent), ...(await livesOf(scene, taskId))]).toEqual([false, false, false]);
      expect(scene.factsOf(taskId)).not.toContain('RunLost');
      expect(scene.factsOf(taskId)).not.toContain('RunOrphaned');
    });

    it('are found dead by their silence when their container is killed, and their next attempt completes', async () => {
      const taskId = await dying;
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2, result: { branch: `baton/${taskId}` } });
      expect(task.history.find(({ to }) => to === 'STOPPING')?.cause.type).toBe('AlarmRang');
      expect(reasonsIn(scene, taskId, 'RunLost')).toEqual(new Set(['no_heartbeat']));
      const starts = linesOf(join(scene.folder, STARTS));
      expect(starts).toHaveLength(2);
      expect(starts.map((pid) => lives(Number(pid)))).toEqual([false, false]);
    });

    it('are known to work and to have ended although no word of their runner arrives', async () => {
      const taskId = await unheardOf;
      await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
      mkdirSync(join(scene.folder, 'gate'));
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1, result: { filesChanged: 1 } });
      expect(task.history.slice(-2).map(({ to, cause }) => `${to} ${cause.type}`)).toEqual([
        'RUNNING AlarmRang',
        'COMPLETED AlarmRang',
      ]);
    });

    // A3
    it('run where the configuration of their repository says, and else on the default back end', async () => {
      const [onEcs, onAgentcore] = [another('ecs'), another('agentcore')];
      await Promise.all([configure(onEcs, { compute: 'ecs' }), configure(onAgentcore, { compute: 'agentcore' })]);
      const tasks = await Promise.all(
        [onEcs, onAgentcore, scene].map(async ({ remote: repository }) =>
          scene.settled(await scene.submit('true', { repository })),
        ),
      );
      expect(tasks.map(({ status, compute, run }) => [status, compute, run?.nativeId?.slice(0, 6)])).toEqual([
        ['COMPLETED', 'ecs', 'arn:aw'],
        ['COMPLETED', 'agentcore', 'baton-'],
        ['COMPLETED', 'agentcore', 'baton-'],
      ]);
    });

    it('have sessions started by one function, and stopped and asked by functions that no other back end has', () => {
      const calls = scene.world.calls();
      const callers = (call: string) => Object.keys(calls).filter((name) => calls[name]?.[call]);
      expect(callers('bedrock-agentcore.invocations')).toEqual(['baton-loopback-start-run-on-agentcore']);
      expect(callers('bedrock-agentcore.stopruntimesession')).toEqual(['baton-loopback-stop-run-on-agentcore']);
      expect(Object.keys(calls).filter((name) => name.endsWith('-on-ecs') && calls[name]?.['ecs.StopTask'])).toEqual(
        [],
      );
    });

    /** The same scene at a repository of its own. */
    function another(name: string): Scene {
      const folder = join(scene.folder, name);
      mkdirSync(folder);
      return Object.assign(Object.create(scene) as Scene, { remote: sampleRepository(folder) });
    }
  });

  describe('a deployment with AgentCore alone, in which things go wrong', () => {
    /** What happens at the next start: its function dies before its call, or after it and without the answer. */
    let fault: CallFault | undefined;
    let scene: Scene;
    let cancelling: { taskId: string; agent: number };
    beforeAll(async () => {
      scene = await openLoopbackScene({
        computes: ['agentcore'],
        agentSecrets: { ANTHROPIC_API_KEY: KEY },
        timings: { STOP_PROOF_S: PROOF_S, LIFE_LOOK_S: LOOK_S, HEARTBEAT_SILENCE_S: 3 * LOOK_S },
        loses: (event) => event['detail-type'] === 'RunClaimed' && taskIdOf(event) === idOf(repeated),
        sessions: { ignoresStop: ({ sessionId }) => sessionId.includes(idOf(deaf)) },
        dieAt({ name }) {
          if (name !== 'bedrock-agentcore.invocations') return undefined;
          const now = fault;
          fault = undefined;
          return now;
        },
      });
      cancelling = await cancelled(scene);
    });
    afterAll(() => scene.close());

    it.each(['before', 'after'] as const)(
      'works once for a task whose start died %s it asked for a session',
      async (when) => {
        const starts = join(scene.folder, when);
        fault = when;
        const agent = `echo start >> ${starts}; sleep ${when === 'after' ? WORKS_S : 0}; echo x > x`;
        const taskId = await scene.submit(agent, { idempotencyKey: when });
        const task = await scene.settled(taskId);
        expect(fault).toBeUndefined();
        expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1 });
        expect(linesOf(starts)).toEqual(['start']);
        expect(scene.world.troubles().filter((trouble) => trouble.includes('start-run-on-agentcore'))).not.toEqual([]);
      },
    );

    // A7
    it('has its agents work with the keys that it names, and tells them to nobody', async () => {
      const taskId = await scene.submit('echo "the key is $ANTHROPIC_API_KEY" | tee key.txt', {
        idempotencyKey: 'key',
      });
      expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      expect(scene.inRemote('show', `baton/${taskId}:key.txt`)).toBe(`the key is ${KEY}`);
      const log = await scene.log(taskId);
      expect(log).toMatch(/^the key is \*\*\*$/m);
      const record = await scene.world.record(runKey(taskId, 1));
      expect(record).toMatchObject({ report: { outcome: 'succeeded' } });
      const told = JSON.stringify([scene.events, record, log]);
      expect(told).not.toContain(KEY);
    });

    // F13
    it('gives up a session that takes every stop and lives on, loudly: the task ends, its slot is free', async () => {
      const { taskId, agent } = cancelling;
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'CANCELLED', run: { ended: { proof: 'given_up' } } });
      const nativeId = `baton-loopback-${taskId}-1`;
      const message = expect.stringContaining('never seen to end');
      expect(dataIn(scene, taskId, 'RunOrphaned')).toContainEqual(
        expect.objectContaining({ compute: 'agentcore', nativeId, message }),
      );
      // Nobody stops it, but it is refused: its runner, which notices, ends its agent.
      await eventually(() => (lives(agent) ? undefined : true), 'the agent to end');
      expect(await scene.world.record('SLOT#user:local')).toMatchObject({ holders: {}, waiters: {} });
    });
  });
});

/** After so many seconds a task times out: by then its agent works, on a busy machine too. */
const TIMEOUT_S = 15;
/** What the secret of the agents holds. */
const KEY = 'key-of-the-model';
/** Where the agent of the task whose container is killed writes down that it begins. */
const STARTS = 'starts';
/** How long the end of a stopped session is waited for here, in seconds: long enough for several stops. */
const PROOF_S = 6;
/** Longer than Lambda waits here before it tries a function again, in seconds: until then nobody looks whether the run works. */
const LOOK_S = 8;
/** Until then the start has been repeated, in seconds, and the agent still works. */
const WORKS_S = 7;

/** Asks for a task and kills the container of its first attempt with all that watches over it. */
async function killed(scene: Scene): Promise<string> {
  const starts = join(scene.folder, STARTS);
  const taskId = await scene.submit(
    `echo $$ >> ${starts}; if [ $(wc -l < ${starts}) -ge 2 ]; then echo done > done.txt; else sleep 300; fi`,
  );
  await eventually(() => linesOf(starts)[0], 'the first start');
  await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
  const { pid, childPid } = await containerOf(scene, taskId);
  for (const one of [pid, childPid]) process.kill(one, 'SIGKILL');
  return taskId;
}

/** Asks for the task whose session is deaf, and cancels it at work. */
async function cancelled(scene: Scene): Promise<{ taskId: string; agent: number }> {
  const file = join(scene.folder, 'deaf');
  const taskId = await scene.submit(`echo $$ > ${file}; sleep 300`, deaf);
  const agent = await numberIn(file);
  await scene.world.cancel(taskId);
  return { taskId, agent };
}

const taskIdOf = ({ detail }: Envelope): string =>
  (detail as { metadata?: { taskId?: string } }).metadata?.taskId ?? '';

/** Supervisor and server of the container in which an attempt began. */
async function containerOf(scene: Scene, taskId: string, attempt = 1): Promise<{ pid: number; childPid: number }> {
  const dir = dirname(await scene.world.logPath(taskId, attempt));
  return supervisorRecord.parse(JSON.parse(readFileSync(join(dir, 'supervisor.json'), 'utf8')));
}

async function livesOf(scene: Scene, taskId: string): Promise<boolean[]> {
  const { pid, childPid } = await containerOf(scene, taskId);
  return [pid, childPid].map(lives);
}

/** What the events of a type say about a task. */
const dataIn = ({ events }: Scene, taskId: string, type: string): unknown[] =>
  events
    .filter((event) => event['detail-type'] === type && taskIdOf(event) === taskId)
    .map(({ detail }) => (detail as { data: unknown }).data);

const reasonsIn = (scene: Scene, taskId: string, type: string): Set<string> =>
  new Set(dataIn(scene, taskId, type).map((data) => (data as { reason: { code: string } }).reason.code));

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { FleetFault } from '../../runtime/engine/local-fleet-records.ts';
import type { Reason } from '../../schemas/reason.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import type { Worker } from '../../schemas/worker.ts';
import { onLinux } from '../agent/host-scene.ts';
import { configure } from '../flows/configure.ts';
import { onLoopback, openLoopbackScene } from '../flows/every-world.ts';
import { eventually, type FlowScene, linesOf, lives, numberIn, sampleRepository } from '../flows/scene.ts';
import type { LoopbackWorld } from './aws-on-loopback.ts';
import { cloudAssembly, withComputes } from './cloud-assembly.ts';
import { MACHINE_CALLS, MACHINE_KEY } from './fleet-machine.ts';
import { grantedCalls } from './granted-calls.ts';

type Scene = FlowScene<LoopbackWorld>;

const COMPUTES = ['ec2', 'ecs', 'agentcore'] as const;
const FLEETS = 'main=2';
/** The script of a host takes its time, as every step of it is a process: its proofs are waited for as long as on AWS. */
const timings = { STOP_PROOF_S: 90, EXIT_GRACE_S: 30 };
/** A machine that died without a word is found out after so many milliseconds. */
const LOSS_NOTICED_MS = 1_000;

/** Calls of functions and of machines that their roles do not grant. */
const ungranted = new Set<string>();
/** What is to go wrong now. */
const wrong = { boot: true, send: false, eventsOfSsm: false };

// Most of the time each of these tasks waits for its host, so one world is enough for all of them.
onLoopback(() =>
  onLinux('tasks of a deployment whose default back end is a fleet', () => {
    let scene: Scene;
    beforeAll(async () => {
      const assembly = cloudAssembly({ ...withComputes(COMPUTES), fleets: FLEETS });
      const grants = grantedCalls(assembly, { 'baton:fleet': 'main', 'baton:stage': 'loopback' });
      scene = await openLoopbackScene({
        computes: COMPUTES,
        fleets: FLEETS,
        limit: 12,
        timings,
        loses: ({ source }) => wrong.eventsOfSsm && source === 'aws.ssm',
        dieAt(call, by) {
          const role = call.key === MACHINE_KEY ? machineRole() : grants.roleOf(by);
          const why = grants.whyRefused(role, call);
          if (why !== undefined) ungranted.add(why);
          return undefined;
        },
        fleet: {
          docker: ['/bin/sh', '-c', STUCK_DOCKER, 'docker'],
          limits: { lossNoticedMs: LOSS_NOTICED_MS, spotNoticeMs: 30_000 },
          failing: (call) =>
            wrong.send && call === 'send'
              ? new FleetFault('denied', 'not authorized to perform ssm:SendCommand')
              : undefined,
          failBoot() {
            const fails = wrong.boot;
            wrong.boot = false;
            return fails ? 'its image cannot be pulled' : undefined;
          },
        },
      });
    });
    afterAll(() => scene.close());

    const machineRole = (): string => scene.world.deployment.fleets[0]?.role ?? '';
    const machineCalls = (): string[] => linesOf(join(scene.folder, 'data', MACHINE_CALLS));
    const recordOf = async (worker: string) => (await scene.world.record(`WORKER#${worker}`)) as Worker | undefined;
    const hostOf = (worker: string): string => join(scene.folder, 'data', 'workers', worker, 'host');

    /** The workers that are free, when there are so many. */
    const idle = (count: number): Promise<string[]> =>
      eventually(
        async () => {
          const there = (await scene.world.machines.instances()).filter(({ state }) => state === 'running');
          const records = await Promise.all(there.map(({ instanceId }) => recordOf(instanceId)));
          const free = records.flatMap((one) => (one?.state === 'idle' ? [one.worker] : []));
          return free.length === count ? free : undefined;
        },
        () => `${count} idle workers; ${scene.world.troubles().join('; ')}`,
        PATIENCE_MS,
        LOOK_MS,
      );

    it('do not begin on a machine whose boot failed: it is told, kept out, and replaced', async () => {
      const workers = await idle(2);
      const [failed] = dataOf<{ worker: string; message: string }>('WorkerBootFailed');
      expect(failed?.message).toMatch(/^The boot failed at line \d+ with exit code \d+\.$/);
      const worker = failed?.worker ?? '';
      expect(workers).not.toContain(worker);
      expect(quarantined(worker)?.code).toBe('boot_failed');
      await gone(worker);
      expect(tagsOf(worker)).toEqual(['Key=baton:status,Value=boot-failed']);
      for (const one of workers) expect(tagsOf(one)).toEqual(['Key=baton:status,Value=idle']);
    });

    it('complete there with their work pushed, and leave nothing on their host', async () => {
      const taskId = await scene.submit('cat > hello.txt; env > env.txt; echo "said hello"', { prompt: 'Say "hello"' });
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 1, compute: 'ec2', due: {} });
      expect(scene.inRemote('show', `baton/${taskId}:hello.txt`)).toBe('Say "hello"');
      expect(task.run).toMatchObject({ ended: { proof: 'proven' } });
      const worker = workerOf(task);
      expect(task.run?.nativeId).toBe(`${worker}/${taskId}/1`);
      expect(await scene.log(taskId)).toMatch(/^said hello$/m);
      // The word of its command, and no look, ends it: the task too, where the report has not been judged by then. What is seen of a task may
      // be told later.
      const told = () => ['RunEnded', 'TaskCompleted'].map((type) => `${type} by ${causeOf(type, taskId)}`);
      await eventually(
        () => told().find((one) => one.endsWith(`#${worker}#Success`)),
        () => `its end by the word of its command: ${told().join(', ')}`,
      );
      await idle(2);
      expect(existsSync(join(hostOf(worker), 'credentials'))).toBe(false);
      expect(tagsOf(worker)).toEqual([
        'Key=baton:status,Value=idle',
        `Key=baton:status,Value=busy Key=baton:task-id,Value=${taskId}`,
        'Key=baton:status,Value=idle Key=baton:task-id,Value=',
      ]);
      // The keys of the role are for the runner alone.
      expect(scene.inRemote('show', `baton/${taskId}:env.txt`)).not.toMatch(/AWS_(ACCESS|SECRET|SESSION)|CREDENTIALS/);
    });

    it('wait in line for a worker, find nothing there of who had it before, and are stopped with their work saved', async () => {
      const file = join(scene.folder, 'held');
      const held = await scene.submit(`echo begun > begun.txt; echo $$ > ${file}; sleep 300`);
      const agent = await numberIn(file);
      const gate = join(scene.folder, 'gate');
      const looks = 'find .. -name left.txt | wc -l > found.txt';
      const first = await scene.submit(
        `echo secret > ../left.txt; sleep 300 & echo $! > ${gate}.pid; ${looks}; while [ ! -e ${gate} ]; do sleep 0.1; done`,
      );
      const leftBehind = await numberIn(`${gate}.pid`);
      const second = await scene.submit(`${looks}; kill -0 ${leftBehind} && echo lives > lives.txt; true`);
      await scene.until(second, ({ status }) => status === 'QUEUED', 'to wait');
      writeFileSync(gate, '');
      const tasks = [await scene.settled(first), await scene.settled(second)];
      expect(tasks.map(({ status, attempt }) => [status, attempt])).toEqual(tasks.map(() => ['COMPLETED', 1]));
      expect(new Set(tasks.map(workerOf)).size).toBe(1);
      expect([first, second].map((id) => scene.inRemote('show', `baton/${id}:found.txt`))).toEqual(['1', '0']);
      expect(lives(leftBehind)).toBe(false);

      await scene.world.cancel(held, 'not needed any more');
      const task = await scene.settled(held);
      expect(task).toMatchObject({ status: 'CANCELLED', attempt: 1, reason: { code: 'cancelled' } });
      expect(task.run).toMatchObject({ ended: { proof: 'proven' } });
      expect(workerOf(task)).not.toBe(workerOf(tasks[0]));
      expect(scene.inRemote('show', `baton/${held}:begun.txt`)).toBe('begun');
      expect(lives(agent)).toBe(false);
      await idle(2);
    });

    it('begin again elsewhere when their host cannot start them, and complete, although no event of Systems Manager arrives', async () => {
      wrong.eventsOfSsm = true;
      writeFileSync(join(scene.folder, 'data', FAILS_ONCE), '');
      const taskId = await scene.submit('echo x > x');
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2, run: { ended: { proof: 'proven' } } });
      expect(scene.world.calls()['baton-loopback-check-run-on-ec2']?.['ssm.GetCommandInvocation']).toBeGreaterThan(0);
      const [unfit] = dataOf<{ worker: string; reason: Reason }>('WorkerQuarantined').filter(
        ({ reason: { code } }) => code === 'never_started',
      );
      expect(unfit?.worker).not.toBe(workerOf(task));
      await idle(2);
      wrong.eventsOfSsm = false;
    });

    it('fail with a clear word when commands may not be sent, and keep no worker', async () => {
      wrong.send = true;
      const taskId = await scene.submit('true', { attempts: 1 });
      const task = await scene.settled(taskId);
      wrong.send = false;
      expect(task).toMatchObject({ status: 'FAILED', attempt: 1, reason: { code: 'start_refused' } });
      expect(task.reason?.message).toContain('ssm:SendCommand');
      await idle(2);
    });

    it('begin again on another worker when their machine is lost', async () => {
      const { taskId, first } = await running('lost');
      expect(await scene.world.interrupt(taskId, 'host')).toBe(true);
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(workerOf(task)).not.toBe(workerOf(first));
      expect(new Set(reasonsOf('RunLost', taskId).map(({ code }) => code))).toEqual(new Set(['host_lost']));
      await idle(2);
      expect((await recordOf(workerOf(first)))?.state).toBe('gone');
    });

    it('go on elsewhere with their saved work when their machine is taken back', async () => {
      const { taskId, first } = await running('spot');
      expect(await scene.world.interrupt(taskId, 'spot')).toBe(true);
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(workerOf(task)).not.toBe(workerOf(first));
      expect(scene.inRemote('show', `baton/${taskId}:first.txt`)).toBe('first');
      await gone(workerOf(first));
      await idle(2);
    });

    it('end on a worker that cannot prove it, which nobody gets again, and which is replaced', async () => {
      const { taskId, first } = await running('stuck');
      const worker = workerOf(first);
      writeFileSync(join(hostOf(worker), STUCK), '');
      await scene.world.cancel(taskId);
      const task = await scene.settled(taskId);
      expect(task).toMatchObject({ status: 'CANCELLED', attempt: 1 });
      expect(quarantined(worker)?.code).toBe('end_unproven');
      await gone(worker);
      expect(await idle(2)).not.toContain(worker);
      const calls = scene.world.calls()['baton-loopback-replace-worker'] ?? {};
      expect(calls['autoscaling.TerminateInstanceInAutoScalingGroup']).toBeGreaterThan(0);
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
      expect(tasks.map(({ status, compute, run }) => [status, compute, run?.nativeId?.slice(0, 2)])).toEqual([
        ['COMPLETED', 'ecs', 'ar'],
        ['COMPLETED', 'agentcore', 'ba'],
        ['COMPLETED', 'ec2', 'i-'],
      ]);
      await idle(2);
    });

    it('keep their machine when the fleet becomes smaller: an idle one goes, at once', async () => {
      const { taskId, first, finish } = await running('kept');
      const leaver = await scene.world.machines.scaleIn();
      expect(leaver).toBeDefined();
      expect(leaver).not.toBe(workerOf(first));
      expect(await scene.world.machines.scaleIn()).toBeUndefined();
      await gone(leaver ?? '');
      finish();
      expect(await scene.settled(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      expect(await idle(1)).toEqual([workerOf(first)]);
    });

    it('need no call that a role does not grant, and commands are sent by who starts and stops runs alone', async () => {
      expect([...ungranted]).toEqual([]);
      const calls = scene.world.calls();
      const callers = (call: string) => Object.keys(calls).filter((name) => calls[name]?.[call]);
      expect(callers('ssm.SendCommand').sort()).toEqual([
        'baton-loopback-start-run-on-ec2',
        'baton-loopback-stop-run-on-ec2',
      ]);
      expect(Object.keys(calls[''] ?? {}).sort()).toEqual(['dynamodb.UpdateItem', 'events.PutEvents', 's3.GET']);
      expect(await scene.world.keptLetters()).toEqual([]);
    });

    /** A task at work, which waits for a word in its first attempt, and ends at once in its second. */
    async function running(name: string): Promise<{ taskId: string; first: TaskView; finish: () => void }> {
      const file = join(scene.folder, name);
      const taskId = await scene.submit(
        `echo $$ >> ${file}; [ $(wc -l < ${file}) -ge 2 ] || echo first > first.txt; while [ $(wc -l < ${file}) -lt 2 ]; do sleep 0.2; done; echo x > x`,
      );
      await eventually(() => linesOf(file)[0], 'the first start', PATIENCE_MS);
      const first = await scene.until(taskId, ({ status }) => status === 'RUNNING', 'to run');
      return { taskId, first, finish: () => writeFileSync(file, 'a word\nand another\n') };
    }

    /** The same scene at a repository of its own. */
    function another(name: string): Scene {
      const folder = join(scene.folder, name);
      mkdirSync(folder);
      return Object.assign(Object.create(scene) as Scene, { remote: sampleRepository(folder) });
    }

    async function gone(worker: string): Promise<void> {
      await eventually(
        async () => {
          const found = (await scene.world.machines.instances()).find(({ instanceId }) => instanceId === worker);
          return found === undefined || found.state === 'terminated' ? true : undefined;
        },
        `the end of ${worker}`,
        PATIENCE_MS,
        LOOK_MS,
      );
    }

    /** Which tags a machine set, in order. */
    function tagsOf(worker: string): string[] {
      return machineCalls()
        .filter((call) => call.startsWith(`${worker} ec2 create-tags`))
        .map((call) => call.replace(/^.* --tags /, ''));
    }

    function dataOf<Data>(type: string): Data[] {
      return scene.events
        .filter((event) => event['detail-type'] === type)
        .map(({ detail }) => (detail as { data: Data }).data);
    }

    /** What brought the fact of a task. */
    function causeOf(type: string, taskId: string): string | undefined {
      const of = scene.events.map(({ detail, ...event }) => ({ ...event, ...(detail as { metadata?: Metadata }) }));
      return of.find((event) => event['detail-type'] === type && event.metadata?.taskId === taskId)?.metadata
        ?.causationId;
    }

    const quarantined = (worker: string): Reason | undefined =>
      dataOf<{ worker: string; reason: Reason }>('WorkerQuarantined').find((one) => one.worker === worker)?.reason;

    function reasonsOf(type: string, taskId: string): Reason[] {
      return scene.events.flatMap((event) => {
        const { metadata, data } = event.detail as { metadata?: { taskId?: string }; data: { reason: Reason } };
        return event['detail-type'] === type && metadata?.taskId === taskId ? [data.reason] : [];
      });
    }
  }),
);

interface Metadata {
  readonly taskId?: string;
  readonly causationId?: string;
}

const workerOf = (task: TaskView | undefined): string => task?.run?.nativeId?.split('/')[0] ?? '';

/** A host with this file can remove no container any more. */
const STUCK = 'containers/stuck.json';
/** Where all workers are: the next container that is to run does not start. */
const FAILS_ONCE = 'fails-once';
/** Comes before what stands for \`docker\`: the program, its file, then the words of who calls. */
const STUCK_DOCKER = `if [ "$3" = container ] && [ -e "$BATON_HOST_DIR/${STUCK}" ]; then exit 1; fi
if [ "$3" = run ] && rm "$BATON_HOST_DIR/../../../${FAILS_ONCE}" 2>/dev/null; then exit 125; fi; exec "$@"`;

/** How long a change of the fleet is waited for, and between two looks, in milliseconds: a machine boots, and each function starts. */
const PATIENCE_MS = 120_000;
const LOOK_MS = 200;

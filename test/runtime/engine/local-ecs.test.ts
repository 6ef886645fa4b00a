import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ecsTaskStateChangeDetail } from '../../../events/aws/ecs-task-state-change.ts';
import type { LocalEcsOptions } from '../../../runtime/engine/local-ecs.ts';
import { envelope } from '../../../schemas/envelope.ts';
import { because } from '../../../schemas/reason.ts';
import type { EcsHandle } from '../../../schemas/run-handle.ts';
import { programs, testProgram } from '../../programs.ts';
import { putAway, sceneFolder } from '../../scene-folder.ts';
import { aRun, type EcsWorld, ecsWorld, eventually, lives } from './local-ecs-fixture.ts';
import { journalStore } from './local-ecs-journal.ts';

const WHOLE_LIFE = [
  'PROVISIONING',
  'PENDING',
  'ACTIVATING',
  'RUNNING',
  'DEACTIVATING',
  'STOPPING',
  'DEPROVISIONING',
  'STOPPED',
];

let opener: string;
const worlds: EcsWorld[] = [];

beforeAll(() => {
  opener = testProgram(new URL('./local-ecs-opener.ts', import.meta.url));
});
afterEach(async () => {
  const opened = worlds.splice(0);
  for (const world of opened) await world.close();
  for (const dataDir of new Set(opened.map((world) => world.dataDir))) await putAway(dataDir);
});

async function aWorld(options: Partial<LocalEcsOptions> = {}): Promise<EcsWorld> {
  const world = await ecsWorld({ ...options });
  worlds.push(world);
  return world;
}

async function reopened(world: EcsWorld, options: Partial<LocalEcsOptions> = {}): Promise<EcsWorld> {
  await world.close();
  const next = await world.reopen(options);
  worlds.push(next);
  return next;
}

const runDirOf = (world: EcsWorld, handle: EcsHandle) =>
  join(world.dataDir, 'runs', handle.taskArn.split('/').at(-1) ?? '');
const jsonIn = (world: EcsWorld, handle: EcsHandle, file: string) =>
  JSON.parse(readFileSync(join(runDirOf(world, handle), file), 'utf8'));
const agentOf = (detail: { containers?: { name: string; exitCode?: number | undefined }[] | undefined }) =>
  detail.containers?.find((container) => container.name === 'agent');

describe('a run that ends by itself', () => {
  it('goes through every state in order, with growing versions, and shows its exit code', async () => {
    const world = await aWorld();
    const run = aRun('echo hello; echo oops >&2');
    const { taskArn } = await world.start(run);
    const stopped = await world.event(taskArn, 'STOPPED');

    expect(world.statuses(taskArn)).toEqual(WHOLE_LIFE);
    expect(world.events.map((event) => event.detail.version)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(stopped.detail).toMatchObject({
      startedBy: run.startedBy,
      stopCode: 'EssentialContainerExited',
      stoppedReason: 'Essential container in task exited',
      desiredStatus: 'STOPPED',
      launchType: 'FARGATE',
      overrides: {
        containerOverrides: [
          {
            name: 'agent',
            command: run.command,
            environment: [
              { name: 'BATON_ATTEMPT', value: '1' },
              { name: 'BATON_TASK_ID', value: run.taskId },
            ],
          },
        ],
      },
    });
    expect(agentOf(stopped.detail)?.exitCode).toBe(0);
    expect(world.log(taskArn)).toContain('hello\n');
    expect(world.log(taskArn)).toContain('oops\n');
  });

  it('publishes events that EventBridge could have delivered', async () => {
    const world = await aWorld();
    const { taskArn } = await world.start(aRun('exit 0'));
    await world.event(taskArn, 'STOPPED');
    for (const event of world.events) {
      expect(envelope.parse(event)).toMatchObject({
        source: 'aws.ecs',
        'detail-type': 'ECS Task State Change',
        resources: [taskArn],
      });
      expect(ecsTaskStateChangeDetail.parse(event.detail)).toEqual(event.detail);
      expect(event.time).toMatch(/:\d\dZ$/);
    }
    expect(new Set(world.events.map((event) => event.id)).size).toBe(8);
  });

  it.each([
    ['exit 3', 3],
    ['kill -9 $$', 137],
    ['kill -TERM $$', 143],
  ])('%s shows as exit code %i', async (script, exitCode) => {
    const world = await aWorld();
    const { taskArn } = await world.start(aRun(script));
    expect(agentOf((await world.event(taskArn, 'STOPPED')).detail)?.exitCode).toBe(exitCode);
  });

  it('gives the runner its environment and keeps local paths out of the events', async () => {
    const world = await aWorld();
    const { taskArn } = await world.start(
      aRun('echo "$BATON_NATIVE_ID|$BATON_WORLD_FILE|$BATON_RUN_DIR|$BATON_ATTEMPT"'),
    );
    await world.event(taskArn, 'STOPPED');
    const runDir = join(world.dataDir, 'runs', taskArn.split('/').at(-1) ?? '');
    expect(world.log(taskArn).trim()).toBe(`${taskArn}|${join(world.dataDir, 'world.json')}|${runDir}|1`);
    expect(JSON.stringify(world.events)).not.toContain(world.dataDir);
  });

  it('hands over its end before STOPPED is shown, and again if that failed', async () => {
    const seen: string[] = [];
    const world: EcsWorld = await aWorld({
      onExit: async ({ taskArn, exit }) => {
        seen.push(`${exit?.exitCode} ${world.statuses(taskArn).at(-1)}`);
        if (seen.length === 1) throw new Error('store is busy');
      },
    });
    const { taskArn } = await world.start(aRun('exit 5'));
    await world.event(taskArn, 'STOPPED');
    expect(seen).toEqual(['5 RUNNING', '5 RUNNING']);
  });

  it('offers its changes again until the bus takes them, in order', async () => {
    let refusals = 3;
    const taken: string[] = [];
    const world = await aWorld({
      bus: async (events) => {
        if (refusals-- > 0) throw new Error('bus is down');
        taken.push(...events.map((event) => event.detail.lastStatus));
      },
    });
    await world.start(aRun('exit 0'));
    await eventually(() => taken.includes('STOPPED'), 'STOPPED');
    expect(taken).toEqual(WHOLE_LIFE);
  });

  it.each([
    'sleep 300 & exit 0',
    'setsid sleep 300 & exit 0',
    'setsid sh -c "sleep 300 & sleep 300" & exit 0',
    'env -i setsid sleep 300 & exit 0',
  ])('leaves no process behind: %s', async (script) => {
    if (script.includes('setsid') && process.platform !== 'linux') return;
    const world = await aWorld();
    const handle = await world.start(aRun(`${script.replace('& exit', '& echo $!; sleep 0.1; exit')}`));
    await world.event(handle.taskArn, 'STOPPED');
    expect(lives(Number(world.log(handle.taskArn)))).toBe(false);
    expect(processesOf(runDirOf(world, handle))).toEqual([]);
  });

  it('keeps the head and the tail of an endless log', async () => {
    const world = await aWorld({ logMaxBytes: 10_000 });
    const { taskArn } = await world.start(aRun('echo first; yes | head -c 5000000; echo last'));
    await world.event(taskArn, 'STOPPED');
    const log = world.log(taskArn);
    expect(log.length).toBeLessThan(10_000 + 64 * 1024 + 200);
    expect(log).toMatch(/^first\n/);
    expect(log).toMatch(/\[log truncated: \d+ bytes left out\]/);
    expect(log).toMatch(/last\n$/);
  });
});

describe('a run of which something could not be killed', () => {
  it('goes on until that is dead too, and then shows the exit code that it had', async () => {
    const world = await aWorld();
    const run = aRun('sleep 0.3; exit 3');
    const handle = await world.start(run);
    await world.event(handle.taskArn, 'RUNNING');
    await world.close();
    const exitFile = join(runDirOf(world, handle), 'exit.json');
    await eventually(() => existsSync(exitFile), 'its end');
    writeFileSync(exitFile, JSON.stringify({ ...jsonIn(world, handle, 'exit.json'), survivors: 1 }));
    const left = spawn('/bin/sleep', ['300'], {
      cwd: runDirOf(world, handle),
      env: {},
      detached: true,
      stdio: 'ignore',
    });
    const { pid = 0 } = left;

    const { kill } = process;
    let attempts = 0;
    process.kill = (target, name) => {
      if (target !== pid || name !== 'SIGKILL') return kill.call(process, target, name);
      attempts += 1;
      throw new Error('EPERM');
    };
    const warnings: string[] = [];
    const later = await reopened(world, { warn: (message, error) => warnings.push(`${message}: ${error}`) });
    expect(await later.ecs.ask(run)).toMatchObject([{ phase: 'running' }]);
    expect(attempts).toBeGreaterThan(1);
    process.kill = kill;
    expect(lives(pid)).toBe(true);
    expect(later.statuses(handle.taskArn)).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('1 processes of the run could not be killed')]);

    const { detail } = await later.event(handle.taskArn, 'STOPPED');
    expect(lives(pid)).toBe(false);
    expect(agentOf(detail)?.exitCode).toBe(3);
    expect([...world.statuses(handle.taskArn), ...later.statuses(handle.taskArn)]).toEqual(WHOLE_LIFE);
  });
});

describe('a run that cannot start', () => {
  it.each<[string, Partial<LocalEcsOptions>, RegExp]>([
    ['the runner is missing', { runnerCommand: ['/nowhere/runner'] }, /CannotStartContainerError.*\/nowhere\/runner/],
    ['the runner is not on PATH', { runnerCommand: ['no-such-runner'] }, /CannotStartContainerError.*ENOENT/],
    ['the supervisor is missing', { supervisorCommand: ['no-such-supervisor'] }, /CannotStartContainerError.*ENOENT/],
    ['the supervisor breaks', { supervisorCommand: ['/bin/false'] }, /supervisor ended/],
    ['a fault says so', { failStart: () => 'Capacity is unavailable at this time.' }, /Capacity is unavailable/],
  ])('stops as TaskFailedToStart without an exit code when %s', async (_, options, reason) => {
    const world = await aWorld(options);
    const { taskArn } = await world.start(aRun('exit 0'));
    const { detail } = await world.event(taskArn, 'STOPPED');
    expect(detail).toMatchObject({
      stopCode: 'TaskFailedToStart',
      containers: [],
      stoppedReason: expect.stringMatching(reason),
    });
    expect(detail.startedAt).toBeUndefined();
    expect(world.statuses(taskArn)).toEqual(['PROVISIONING', 'PENDING', 'DEPROVISIONING', 'STOPPED']);
  });

  it('stops as TaskFailedToStart when the run directory cannot be made', async () => {
    const dataDir = sceneFolder();
    writeFileSync(join(dataDir, 'runs'), 'a file where a directory should be');
    const world = await aWorld({ dataDir });
    const { taskArn } = await world.start(aRun('exit 0'));
    const { detail } = await world.event(taskArn, 'STOPPED');
    expect(detail).toMatchObject({
      stopCode: 'TaskFailedToStart',
      stoppedReason: expect.stringContaining('ResourceInitializationError'),
    });
  });
});

describe('a start that is refused on request', () => {
  it.each(['no_capacity', 'start_throttled'] as const)(
    'has no task, and %s as its reason; the same token may start later',
    async (code) => {
      let refusals = 2;
      const world = await aWorld({ failStart: () => (refusals-- > 0 ? because(code, 'not now') : undefined) });
      const run = aRun('exit 0');
      for (let n = 0; n < 2; n++) {
        expect(await world.ecs.start(run)).toEqual({ outcome: 'refused', reason: { code, message: 'not now' } });
        expect(await world.ecs.ask({ startedBy: run.startedBy })).toEqual([]);
      }
      const { taskArn } = await world.start(run);
      await world.event(taskArn, 'STOPPED');
    },
  );

  it('says nothing else of a token that has its task', async () => {
    let refuses = false;
    const world = await aWorld({ failStart: () => (refuses ? because('no_capacity', 'not now') : undefined) });
    const run = aRun('sleep 300');
    const handle = await world.start(run);
    refuses = true;
    expect(await world.ecs.start(run)).toEqual({ outcome: 'started', handle });
  });
});

// F32
describe('a machine that is taken away', () => {
  it('for Spot capacity warns first, while the task runs, and lets the runner end on SIGTERM', async () => {
    const world = await aWorld({ stopTimeoutSeconds: 20 });
    const { taskArn } = await world.start(
      aRun('trap "echo saved; exit 143" TERM; echo ready; while :; do sleep 0.05; done', {
        capacityProvider: 'FARGATE_SPOT',
      }),
    );
    await eventually(() => world.log(taskArn).includes('ready'), 'the runner');
    expect(await world.ecs.interrupt(taskArn, 'spot')).toBe(true);
    const { detail } = await world.event(taskArn, 'STOPPED');
    expect(detail).toMatchObject({ stopCode: 'SpotInterruption', stoppedReason: 'Your Spot Task was interrupted.' });
    expect(agentOf(detail)?.exitCode).toBe(143);
    expect(world.log(taskArn)).toContain('saved');
    const [, warning] = world.events.filter((event) => event.detail.lastStatus === 'RUNNING');
    expect(warning?.detail).toMatchObject({
      desiredStatus: 'STOPPED',
      stopCode: 'SpotInterruption',
      capacityProviderName: 'FARGATE_SPOT',
      launchType: 'FARGATE',
    });
    expect(warning?.detail.version).toBeLessThan(detail.version);
    expect(await world.ecs.interrupt(taskArn, 'spot')).toBe(false);
  });

  it('for Spot capacity leaves tasks alone that do not run on it', async () => {
    const world = await aWorld();
    const { taskArn } = await world.start(aRun('sleep 0.5; exit 3'));
    await world.event(taskArn, 'RUNNING');
    expect(await world.ecs.interrupt(taskArn, 'spot')).toBe(false);
    const { detail } = await world.event(taskArn, 'STOPPED');
    expect(detail).toMatchObject({ stopCode: 'EssentialContainerExited', launchType: 'FARGATE' });
    expect(detail).not.toHaveProperty('capacityProviderName');
    expect(agentOf(detail)?.exitCode).toBe(3);
  });

  it('with its host says nothing before, and leaves no process', async () => {
    const world = await aWorld({ stopTimeoutSeconds: 20 });
    const handle = await world.start(
      aRun('trap "echo saved; exit 143" TERM; echo ready; while :; do sleep 0.05; done'),
    );
    await eventually(() => world.log(handle.taskArn).includes('ready'), 'the runner');
    expect(await world.ecs.interrupt(handle.taskArn, 'host')).toBe(true);
    const { detail } = await world.event(handle.taskArn, 'STOPPED');
    expect(detail).toMatchObject({ stopCode: 'InfrastructureHealth' });
    expect(agentOf(detail)?.exitCode).toBe(137);
    expect(world.log(handle.taskArn)).not.toContain('saved');
    expect(world.events.filter((event) => event.detail.lastStatus === 'RUNNING')).toHaveLength(1);
    expect(processesOf(runDirOf(world, handle))).toEqual([]);
  });

  it('must have a task that runs', async () => {
    const world = await aWorld();
    const { taskArn } = await world.start(aRun('exit 0'));
    await world.event(taskArn, 'STOPPED');
    expect(await world.ecs.interrupt(taskArn, 'host')).toBe(false);
    expect(await world.ecs.interrupt('arn:of:nobody', 'spot')).toBe(false);
  });
});

describe('a client token', () => {
  it('names one task, however often and at once it is started', async () => {
    const world = await aWorld();
    const run = aRun('echo started; sleep 0.2');
    const handles = await Promise.all(Array.from({ length: 20 }, () => world.start(run)));
    const [taskArn = ''] = new Set(handles.map((handle) => handle.taskArn));
    await world.event(taskArn, 'STOPPED');
    expect(await world.start({ ...run, environment: { ...run.environment } })).toEqual(handles[0]);
    expect(new Set(handles.map((handle) => handle.taskArn)).size).toBe(1);
    expect(world.log(taskArn)).toBe('started\n');
    expect(world.statuses(taskArn)).toEqual(WHOLE_LIFE);
    expect(readdirSync(join(world.dataDir, 'runs'))).toHaveLength(1);
  });

  it('never starts a second process after its record is gone', async () => {
    const world = await aWorld();
    const run = aRun('echo started');
    const { taskArn } = await world.start(run);
    await world.event(taskArn, 'STOPPED');
    const inTwoDays = () => new Date(Date.now() + 48 * 3_600_000).toISOString();
    const later = await reopened(world, { clock: { now: inTwoDays } });
    expect(await later.ecs.describe(taskArn)).toBeUndefined();
    expect(await later.start(run)).toMatchObject({ taskArn });
    await later.event(taskArn, 'STOPPED');
    expect(later.log(taskArn)).toBe('started\n');
  });
});

describe('stopping', () => {
  it('lets the runner end on SIGTERM and tells who asked', async () => {
    const world = await aWorld({ stopTimeoutSeconds: 20 });
    const handle = await world.start(
      aRun('trap "echo saved; exit 143" TERM; echo ready; while :; do sleep 0.05; done'),
    );
    await eventually(() => world.log(handle.taskArn).includes('ready'), 'the runner');
    expect(await world.ecs.stop(handle, 'cancelled by ann')).toBe('stopping');
    const { detail } = await world.event(handle.taskArn, 'STOPPED');
    expect(detail).toMatchObject({
      stopCode: 'UserInitiated',
      stoppedReason: 'cancelled by ann',
      desiredStatus: 'STOPPED',
    });
    expect(agentOf(detail)?.exitCode).toBe(143);
    expect(world.log(handle.taskArn)).toContain('saved');
    expect(world.statuses(handle.taskArn)).toEqual(WHOLE_LIFE);
    expect(await world.ecs.stop(handle, 'again')).toBe('already_ended');
  });

  it('kills a runner that ignores SIGTERM, with all its children, after the time-out', async () => {
    const world = await aWorld({ stopTimeoutSeconds: 0.3 });
    const handle = await world.start(aRun('trap "" TERM; sleep 300 & echo ready; while :; do sleep 0.05; done'));
    await eventually(() => world.log(handle.taskArn).includes('ready'), 'the runner');
    await world.ecs.stop(handle, 'enough');
    expect(await world.ecs.stop(handle, 'another reason')).toBe('stopping');
    const { detail } = await world.event(handle.taskArn, 'STOPPED');
    expect(agentOf(detail)?.exitCode).toBe(137);
    expect(detail.stoppedReason).toBe('enough');
    expect(processesOf(runDirOf(world, handle))).toEqual([]);
  });

  it('works before the runner is started, whenever exactly it comes', async () => {
    const world = await aWorld();
    for (let waitMs = 0; waitMs < 120; waitMs += 10) {
      const handle = await world.start(aRun('echo started; sleep 300'));
      await sleep(waitMs);
      expect(await world.ecs.stop(handle, 'changed my mind')).toBe('stopping');
      const { detail } = await world.event(handle.taskArn, 'STOPPED');
      expect(detail.stopCode).toBe('UserInitiated');
      expect(agentOf(detail)?.exitCode).toBe(world.statuses(handle.taskArn).includes('RUNNING') ? 143 : undefined);
      expect(processesOf(runDirOf(world, handle))).toEqual([]);
    }
  });

  it('kills a supervisor that does not answer', async () => {
    const world = await aWorld({ stopTimeoutSeconds: 0 });
    const handle = await world.start(aRun('sleep 300'));
    await world.event(handle.taskArn, 'RUNNING');
    process.kill(jsonIn(world, handle, 'supervisor.json').pid, 'SIGSTOP');
    const later = await reopened(world, { stopTimeoutSeconds: 0 });
    await later.ecs.stop(handle, 'enough');
    const muchLater = await reopened(later, {
      stopTimeoutSeconds: 0,
      clock: { now: () => new Date(Date.now() + 60_000).toISOString() },
    });
    expect(agentOf((await muchLater.event(handle.taskArn, 'STOPPED')).detail)?.exitCode).toBe(137);
    expect(processesOf(runDirOf(world, handle))).toEqual([]);
  });
});

describe('a supervisor killed with kill -9', () => {
  it.each([false, true])('is noticed, and its runner is killed (after a restart: %p)', async (afterRestart) => {
    const world = await aWorld();
    const handle = await world.start(aRun('trap "" PIPE; (trap "" PIPE; sleep 300) & sleep 300'));
    await world.event(handle.taskArn, 'RUNNING');
    const { pid, childPid } = jsonIn(world, handle, 'supervisor.json');
    if (afterRestart) await world.close();
    process.kill(pid, 'SIGKILL');
    const seen = afterRestart ? await reopened(world) : world;
    const { detail } = await seen.event(handle.taskArn, 'STOPPED');
    expect(agentOf(detail)?.exitCode).toBe(137);
    expect(detail.stoppedReason).toMatch(/supervisor of the run was killed/);
    expect(lives(childPid)).toBe(false);
    expect(processesOf(runDirOf(world, handle))).toEqual([]);
  });

  it('is not mistaken for another process that got its pid', async () => {
    const world = await aWorld();
    const handle = await world.start(aRun('sleep 300'));
    await world.event(handle.taskArn, 'RUNNING');
    const { pid } = jsonIn(world, handle, 'supervisor.json');
    await world.close();
    process.kill(pid, 'SIGKILL');
    const marker = jsonIn(world, handle, 'spawned');
    marker.owner.pid = process.pid;
    writeFileSync(join(runDirOf(world, handle), 'spawned'), JSON.stringify(marker));
    const seen = await reopened(world);
    expect(agentOf((await seen.event(handle.taskArn, 'STOPPED')).detail)?.exitCode).toBe(137);
  });
});

describe('asking', () => {
  it('tells phase, attempt and exit code, by startedBy alone or with the handle', async () => {
    const world = await aWorld();
    const run = aRun('sleep 0.3; exit 4');
    const { startedBy, taskId } = run;
    const handle = await world.start(run);
    expect(await world.ecs.ask({ startedBy })).toMatchObject([{ taskId, attempt: 1, handle, phase: 'starting' }]);
    await world.event(handle.taskArn, 'RUNNING');
    expect(await world.ecs.ask({ startedBy, handle })).toMatchObject([{ phase: 'running', nativeId: handle.taskArn }]);
    await world.event(handle.taskArn, 'STOPPED');
    const ended = [{ phase: 'ended', end: { kind: 'exited', exitCode: 4 }, sequence: 8 }];
    expect(await world.ecs.ask({ startedBy, handle })).toMatchObject(ended);
    expect(await (await reopened(world)).ecs.ask({ startedBy })).toMatchObject(ended);
  });

  it('does not say running of a run whose supervisor was killed a moment ago', async () => {
    const world = await aWorld();
    const run = aRun('sleep 300');
    const handle = await world.start(run);
    await world.event(handle.taskArn, 'RUNNING');
    const { pid } = jsonIn(world, handle, 'supervisor.json');
    process.kill(pid, 'SIGKILL');
    await eventually(() => !lives(pid), 'its death');
    expect(await world.ecs.ask(run)).toMatchObject([{ phase: 'ended', end: { exitCode: 137 } }]);
  });
});

describe('a restart', () => {
  it('starts what was recorded but not started yet; before that is on disk, nothing is started', async () => {
    const dataDir = sceneFolder();
    const store = journalStore(join(dataDir, 'journal'));
    const crashing = await ecsWorld({
      dataDir,
      store: { ...store, durable: () => new Promise(() => undefined) },
    });
    const run = aRun('echo started');
    crashing.ecs.start(run).catch(() => undefined);
    await sleep(300);
    expect(existsSync(join(dataDir, 'runs'))).toBe(false);

    const later = await aWorld({ dataDir });
    const handle = await later.start(run);
    await later.event(handle.taskArn, 'STOPPED');
    expect(later.statuses(handle.taskArn)).toEqual(WHOLE_LIFE);
    expect(later.log(handle.taskArn)).toBe('started\n');
  });

  it('takes up a run that goes on', async () => {
    const world = await aWorld();
    const run = aRun('sleep 1; exit 6');
    const handle = await world.start(run);
    await world.event(handle.taskArn, 'RUNNING');
    const later = await reopened(world);
    expect(await later.ecs.ask(run)).toMatchObject([{ phase: 'running' }]);
    expect(agentOf((await later.event(handle.taskArn, 'STOPPED')).detail)?.exitCode).toBe(6);
    expect([...world.statuses(handle.taskArn), ...later.statuses(handle.taskArn)]).toEqual(WHOLE_LIFE);
    expect([...world.events, ...later.events].map((event) => event.detail.version)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('publishes what was missed of a run that ended meanwhile', async () => {
    const world = await aWorld();
    const handle = await world.start(aRun('sleep 0.2; exit 7'));
    await world.close();
    await eventually(() => existsSync(join(runDirOf(world, handle), 'exit.json')), 'its end');
    const later = await reopened(world);
    expect(agentOf((await later.event(handle.taskArn, 'STOPPED')).detail)?.exitCode).toBe(7);
    expect([...world.statuses(handle.taskArn), ...later.statuses(handle.taskArn)]).toEqual(WHOLE_LIFE);
  });

  it('is not held up by a run directory that cannot be read, and takes that run up when it can', async () => {
    const world = await aWorld();
    const [broken, healthy] = [
      await world.start(aRun('sleep 0.3; exit 5')),
      await world.start(aRun('sleep 0.3; exit 6')),
    ];
    await world.event(broken.taskArn, 'RUNNING');
    await world.event(healthy.taskArn, 'RUNNING');
    await world.close();
    const exitFile = join(runDirOf(world, broken), 'exit.json');
    await eventually(() => existsSync(exitFile), 'its end');
    const whatItSaid = readFileSync(exitFile);
    rmSync(exitFile);
    mkdirSync(exitFile);

    const warnings: string[] = [];
    const later = await reopened(world, { warn: (message, error) => warnings.push(`${message}: ${error}`) });
    expect(agentOf((await later.event(healthy.taskArn, 'STOPPED')).detail)?.exitCode).toBe(6);
    expect(warnings).toEqual([expect.stringMatching(`${broken.taskArn}: .*EISDIR`)]);
    rmdirSync(exitFile);
    writeFileSync(exitFile, whatItSaid);
    expect(agentOf((await later.event(broken.taskArn, 'STOPPED')).detail)?.exitCode).toBe(5);
  });

  it('starts a run that nobody started, although its directory could not be read at first', async () => {
    const dataDir = sceneFolder();
    const store = journalStore(join(dataDir, 'journal'));
    const crashing = await ecsWorld({
      dataDir,
      store: { ...store, durable: () => new Promise(() => undefined) },
    });
    const run = aRun('echo started');
    crashing.ecs.start(run).catch(() => undefined);
    await sleep(100);
    const taskArn = `arn:aws:ecs:local:000000000000:task/baton/${createHash('sha256').update(run.clientToken).digest('hex').slice(0, 32)}`;
    const marker = join(dataDir, 'runs', taskArn.split('/').at(-1) ?? '', 'spawned');
    mkdirSync(marker, { recursive: true });
    const later = await aWorld({ dataDir });
    await sleep(100);
    expect(later.statuses(taskArn)).toEqual([]);
    rmdirSync(marker);
    await later.event(taskArn, 'STOPPED');
    expect(later.log(taskArn)).toBe('started\n');
  });

  it('carries on with a stop', async () => {
    const world = await aWorld({ stopTimeoutSeconds: 0.3 });
    const handle = await world.start(aRun('trap "" TERM; while :; do sleep 0.05; done'));
    await world.event(handle.taskArn, 'RUNNING');
    await world.ecs.stop(handle, 'cancelled');
    const later = await reopened(world);
    const { detail } = await later.event(handle.taskArn, 'STOPPED');
    expect(detail).toMatchObject({ stopCode: 'UserInitiated', stoppedReason: 'cancelled' });
    expect([...world.statuses(handle.taskArn), ...later.statuses(handle.taskArn)]).toEqual(WHOLE_LIFE);
  });

  it('sees every run through to STOPPED and starts none twice, though kill -9 struck at random moments', async () => {
    for (let life = 0; life < 3; life += 1) {
      const dataDir = sceneFolder();
      const count = 5;
      for (let kills = 0; kills < 5; kills += 1) {
        const process = open(dataDir, count, life * 0.3);
        await sleep(60 + Math.random() * 240);
        process.kill('SIGKILL');
        await once(process, 'exit');
      }
      const last = open(dataDir, count, life * 0.3);
      const isAllStopped = () =>
        new Set(
          published(dataDir)
            .filter((task) => task.lastStatus === 'STOPPED')
            .map((task) => task.taskArn),
        ).size === count;
      await eventually(isAllStopped, 'the end of all');
      last.kill('SIGKILL');
      await once(last, 'exit');

      const starts = readFileSync(join(dataDir, 'starts'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(' ')[0]);
      expect(starts.sort()).toEqual(['t0', 't1', 't2', 't3', 't4']);
      for (let number = 0; number < count; number += 1) {
        const changes = published(dataDir).filter((task) => task.startedBy === `baton/local/t${number}/1`);
        const byVersion = new Map(changes.map((task) => [task.version, task.lastStatus]));
        expect([...byVersion].sort(([one], [other]) => one - other)).toEqual(
          WHOLE_LIFE.map((status, index) => [index + 1, status]),
        );
        expect(changes.every((task) => byVersion.get(task.version) === task.lastStatus)).toBe(true);
      }
      await putAway(dataDir);
    }
  });
});

function open(dataDir: string, count: number, supervisorDelay: number): ChildProcess {
  const settings = [dataDir, programs.supervisor.at(-1) ?? '', String(count), String(supervisorDelay)];
  return spawn(process.execPath, [opener, ...settings], { stdio: 'inherit' });
}

function published(dataDir: string): { taskArn: string; startedBy: string; lastStatus: string; version: number }[] {
  const file = join(dataDir, 'events');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'));
  return lines.map((line) => JSON.parse(line));
}

/** Live processes that name the run directory in their environment (Linux). */
function processesOf(runDir: string): string[] {
  if (process.platform !== 'linux') return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(runDir) && lives(Number(pid));
    } catch {
      return false;
    }
  });
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { worldClient } from '../../cli/world-client.ts';
import { openWorld } from '../../runtime/embedded-world.ts';
import { onLinux } from '../agent/host-scene.ts';
import { testProgram } from '../programs.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { eventually, linesOf, quickTimings, sampleRepository } from './scene.ts';

/** Kills of the world in one run of this test. */
const KILLS = 10;
/** A killed world lived at most this long after it was ready, in milliseconds: most of a run on a worker fits in. */
const LIFE_MAX_MS = 2_500;
/** Requests of the producer; each is sent again under its key until it was answered. Twice as many as there are workers. */
const TASKS = 4;

/** The script of a host takes its time: every step of it is a process. */
const waits = { STOP_PROOF_S: 90, EXIT_GRACE_S: 30 };

let folder: string;
let bundle: string;
let remote: string;
/** Worlds, also those that a test which failed did not kill. */
const worlds: ChildProcess[] = [];
beforeAll(() => {
  bundle = testProgram(new URL('./world-process.ts', import.meta.url));
  folder = sceneFolder();
  remote = sampleRepository(folder);
});
afterAll(async () => {
  for (const child of worlds) child.kill('SIGKILL');
  await putAway(folder);
});

/** A world in a process of its own, and the way to kill it. */
async function aProcess(dataDir: string) {
  const child = spawn(process.execPath, [bundle, dataDir, JSON.stringify(waits)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  worlds.push(child);
  const exited = once(child, 'exit');
  let said = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    said += text;
    if (said.includes('\n')) break;
  }
  return {
    client: worldClient(/^ready (\S+)\n/.exec(said)?.[1] ?? ''),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

const request = (key: string, agentCommand: string) => ({
  repository: remote,
  prompt: key,
  agentCommand,
  compute: 'ec2' as const,
  idempotencyKey: key,
});

const requestOf = (number: number, starts: string) =>
  request(`task-${number}`, `echo task-${number} >> ${starts}; sleep 0.${number}; echo x > out.txt`);

onLinux('a world that is killed with SIGKILL while a worker of its fleet works', () => {
  it('finds the same run working when it opens again, and the task completes', async () => {
    const dataDir = join(folder, 'once');
    const [starts, gate] = [join(folder, 'once-starts'), join(folder, 'once-gate')];
    const { client, kill } = await aProcess(dataDir);
    const agent = `echo start >> ${starts}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo done > done.txt`;
    const { taskId } = await client.submit(request('once', agent));
    await eventually(() => linesOf(starts)[0], 'the start');
    const { run } = await client.task(taskId);
    await kill();
    const world = await openWorld({ dataDir, timings: { ...quickTimings, ...waits } });
    try {
      writeFileSync(gate, '');
      await eventually(async () => ((await world.view(taskId)).settled ? true : undefined), 'it to settle');
      const { nativeId } = run ?? {};
      expect(await world.view(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1, run: { nativeId } });
      expect(linesOf(starts)).toEqual(['start']);
    } finally {
      await world.close();
    }
  });
});

onLinux(
  `a world that is killed with SIGKILL at ${KILLS} random moments while its workers are claimed, work and are freed`,
  () => {
    it('forgets nothing: every task completes and settles, no attempt runs twice, every worker is idle again', async () => {
      const dataDir = join(folder, 'data');
      const starts = join(folder, 'starts');
      const submitted = new Map<string, string>();
      for (let kills = 0; kills < KILLS; kills++) {
        const { client, kill } = await aProcess(dataDir);
        const dies = sleep(Math.random() * LIFE_MAX_MS).then(kill);
        for (let number = 0; number <= Math.min(kills, TASKS - 1); number++) {
          const key = `task-${number}`;
          if (submitted.has(key)) continue;
          const task = await client.submit(requestOf(number, starts)).catch(() => undefined);
          if (!task) break;
          submitted.set(key, task.taskId);
        }
        await dies;
      }
      const world = await openWorld({ dataDir, timings: { ...quickTimings, ...waits } });
      try {
        // On a busy machine hardly any was accepted by worlds that lived so shortly.
        for (let number = 0; number < TASKS; number++) {
          submitted.set(`task-${number}`, (await world.submit(requestOf(number, starts))).taskId);
        }
        await eventually(() => (world.unsettled() === 0 ? true : undefined), 'all to settle');
        const started = linesOf(starts);
        for (const [key, taskId] of submitted) {
          const task = await world.view(taskId);
          const runs = started.filter((line) => line === key).length;
          expect({ key, runs, status: task.status }).toEqual({ key, runs: task.attempt, status: 'COMPLETED' });
          expect(task.history.map(({ version }) => version)).toEqual(task.history.map((_, index) => index + 1));
        }
        const { url } = world;
        const states = await eventually(async () => {
          const all = (await worldClient(url).workers()).map(({ state }) => state);
          return all.every((state) => state === 'idle') ? all : undefined;
        }, 'every worker to be idle');
        expect(states).toEqual(['idle', 'idle']);
        expect((await world.engine.store.get('SLOT#fleet:main'))?.value).toMatchObject({ holders: {}, waiters: {} });
        expect(await world.engine.store.list('EVENT#', { limit: 10 })).toEqual([]);
      } finally {
        await world.close();
      }
    });
  },
);

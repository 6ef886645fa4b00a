import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { worldClient } from '../../cli/world-client.ts';
import { openWorld } from '../../runtime/embedded-world.ts';
import { testProgram } from '../programs.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { eventually, linesOf, quickTimings, sampleRepository } from './scene.ts';

/** Kills of the world in one run of this test. */
const KILLS = 8;
/** A killed world lived at most this long after it was ready, in milliseconds: most of a short session fits in. */
const LIFE_MAX_MS = 900;
/** Requests of the producer; each is sent again under its key until it was answered. */
const TASKS = 4;

/**
 * How long a start may stay without its claim, in seconds: as long as all these kills may take. Who was away cannot tell a start that is
 * lost from one whose runner found nobody to claim from.
 */
const waits = { START_CHECK_S: 60 };

let folder: string;
let bundle: string;
let remote: string;
beforeAll(() => {
  bundle = testProgram(new URL('./world-process.ts', import.meta.url));
  folder = sceneFolder();
  remote = sampleRepository(folder);
});
afterAll(async () => {
  await putAway(folder);
});

/** A world in a process of its own, and the way to kill it. */
async function aProcess(dataDir: string) {
  const child = spawn(process.execPath, [bundle, dataDir, JSON.stringify(waits)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
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
  compute: 'agentcore' as const,
  idempotencyKey: key,
});

const requestOf = (number: number, starts: string) =>
  request(`task-${number}`, `echo task-${number} $BATON_PROMPT_FILE >> ${starts}; sleep 0.${number}; echo x > out.txt`);

describe('a world that is killed with SIGKILL while a session of AgentCore works', () => {
  it('finds the same run working when it opens again, and the task completes', async () => {
    const dataDir = join(folder, 'once');
    const [starts, gate] = [join(folder, 'once-starts'), join(folder, 'once-gate')];
    const { client, kill } = await aProcess(dataDir);
    const agent = `echo start >> ${starts}; while [ ! -e ${gate} ]; do sleep 0.05; done; echo done > done.txt`;
    const { taskId } = await client.submit(request('once', agent));
    await eventually(async () => (await client.task(taskId)).run?.claimedAt, 'its claim');
    await eventually(() => linesOf(starts)[0], 'the start');
    await kill();
    const world = await openWorld({ dataDir, timings: { ...quickTimings, ...waits } });
    try {
      writeFileSync(gate, '');
      await eventually(async () => ((await world.view(taskId)).settled ? true : undefined), 'it to settle');
      expect(await world.view(taskId)).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      expect(linesOf(starts)).toEqual(['start']);
    } finally {
      await world.close();
    }
  });
});

describe(`a world that is killed with SIGKILL at ${KILLS} random moments while sessions begin, work and end`, () => {
  it('forgets nothing: every task completes and settles, no attempt runs twice, no session is left', async () => {
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
    const world = await openWorld({ dataDir, timings: { ...quickTimings, ...waits }, limit: 3 });
    try {
      // On a busy machine hardly any was accepted by worlds that lived so shortly.
      for (let number = 0; number < TASKS; number++) {
        const key = `task-${number}`;
        submitted.set(key, (await world.submit(requestOf(number, starts))).taskId);
      }
      await eventually(() => (world.unsettled() === 0 ? true : undefined), 'all to settle');
      // The prompt file lies in the directory of the attempt, so a line names its attempt: none ran twice.
      const started = linesOf(starts);
      expect(new Set(started).size).toBe(started.length);
      for (const [key, taskId] of submitted) {
        const task = await world.view(taskId);
        expect({ key, status: task.status }).toEqual({ key, status: 'COMPLETED' });
        // Sessions go on without their world. One whose claim was stored and not answered cannot know that the claim is its own, and gives up.
        const runs = started.filter((line) => line.startsWith(`${key} `)).length;
        expect(runs).toBeGreaterThanOrEqual(1);
        expect(runs).toBeLessThanOrEqual(task.attempt);
        expect(task.history.map(({ version }) => version)).toEqual(task.history.map((_, index) => index + 1));
      }
      expect(await world.engine.store.list('SESSION#', { limit: 10 })).toEqual([]);
      expect(await world.engine.store.list('EVENT#', { limit: 10 })).toEqual([]);
      expect((await world.engine.store.get('SLOT#user:local'))?.value).toMatchObject({ holders: {}, waiters: {} });
    } finally {
      await world.close();
    }
  });
});

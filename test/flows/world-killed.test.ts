import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stepOf } from '../../lifecycle/fold.ts';
import { openWorld } from '../../runtime/embedded-world.ts';
import { slicesIn } from '../../runtime/engine/file-archive.ts';
import { rebuildWorld } from '../../runtime/rebuilt-world.ts';
import type { BatonDetail } from '../../schemas/envelope.ts';
import { type TaskView, taskView } from '../../schemas/task-view.ts';
import { apiError } from '../../schemas/world-api.ts';
import { testProgram } from '../programs.ts';
import { putAway, sceneFolder } from '../scene-folder.ts';
import { linesOf, quickTimings, sampleRepository } from './scene.ts';

/** Kills of the world in one run of this test: six of each of its three kinds. */
const KILLS = 18;
/** A killed world lived at most this long after it was ready, in milliseconds: a whole short task fits in. */
const LIFE_MAX_MS = 700;
/** One that is killed while it opens lived at most this long, in milliseconds. */
const OPENING_MAX_MS = 350;
/** Requests of the producer; each is sent again under its key until it was answered. */
const TASKS = 8;

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

describe(`a world that is killed with SIGKILL at ${KILLS} random moments of a real run`, () => {
  it('forgets nothing: every task ends and settles, no attempt runs twice, none is claimed twice', async () => {
    const dataDir = join(folder, 'data');
    const starts = join(folder, 'starts');
    const expected = new Map<string, 'COMPLETED' | 'FAILED'>();
    const submitted = new Map<string, string>();
    const histories = new Map<string, TaskView['history']>();
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, [bundle, dataDir], { stdio: ['ignore', 'pipe', 'pipe'] });
      // Every third dies while it opens and takes up what the one before left.
      const opening = kill % 3 === 2;
      let dies = opening ? death(child, OPENING_MAX_MS) : undefined;
      const url = await ready(child);
      dies ??= death(child, LIFE_MAX_MS);
      // Work comes in while the world lives and dies: about one request in two lives, each sent again until it is answered.
      const wanted = Math.ceil(((kill + 1) * TASKS) / (KILLS - 6));
      for (let number = 0; number < Math.min(wanted, TASKS); number++) {
        const key = `task-${number}`;
        if (submitted.has(key) || !url) continue;
        const fails = number % 4 === 3;
        const agent = `echo ${key} $BATON_PROMPT_FILE >> ${starts}; sleep 0.${number % 5}; ${fails ? 'exit 3' : `echo ${key} > out.txt`}`;
        const task = await submit(url, { repository: remote, prompt: key, agentCommand: agent, idempotencyKey: key });
        if (!task) break;
        submitted.set(key, task.taskId);
        expected.set(task.taskId, fails ? 'FAILED' : 'COMPLETED');
        // Every third dies in the moment in which it has acknowledged something.
        if (kill % 3 === 1) child.kill('SIGKILL');
      }
      await dies;
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }

    const world = await openWorld({ dataDir, timings: quickTimings, stopTimeoutSeconds: 8, limit: 3 });
    try {
      const untilMs = Date.now() + 60_000;
      while (world.unsettled() > 0 && Date.now() < untilMs) await sleep(50);
      const tasks = await world.list();
      expect(tasks.filter(({ settled }) => !settled)).toEqual([]);
      for (const [taskId, status] of expected) {
        const task = await world.view(taskId);
        expect({ taskId, status: task.status, reason: task.reason?.code }).toEqual({
          taskId,
          status,
          ...(status === 'FAILED' ? { reason: 'agent_failed' } : {}),
        });
        assertOneEnd(task);
      }
      // The prompt file lies in the run directory, so a line names its attempt: each was started once at most.
      const started = linesOf(starts);
      expect(started.length).toBeGreaterThanOrEqual(expected.size);
      expect(new Set(started).size).toBe(started.length);
      expect((await world.engine.store.get('SLOT#user:local'))?.value).toMatchObject({ holders: {}, waiters: {} });
      expect(await world.engine.store.list('EVENT#', { limit: 10 })).toEqual([]);
      for (const { taskId } of tasks) histories.set(taskId, (await world.view(taskId)).history);
      for (const [key, taskId] of submitted) expect((await world.view(taskId)).attempt).toBe(attemptsOf(started, key));
    } finally {
      await world.close();
    }
    // What was said survived, too: the archive alone tells what every record is.
    await sleep(1_200);
    const rebuilt = await rebuildWorld({ from: dataDir, into: join(folder, 'shadow') });
    // A request may have become a task though its answer was lost.
    expect(rebuilt.tasks).toBeGreaterThanOrEqual(expected.size);
    expect(rebuilt).toMatchObject({ same: rebuilt.tasks, different: 0, differences: [] });
    // And it tells of no step that a kill took back: each is the one that stands in its task's history.
    expect(await neverMade(dataDir, histories)).toEqual([]);
  }, 180_000);
});

/** Archived facts of steps that no task has made at that time. */
async function neverMade(
  dataDir: string,
  histories: ReadonlyMap<string, TaskView['history']>,
): Promise<{ id: string; time: string }[]> {
  const found: { id: string; time: string }[] = [];
  for await (const { events } of slicesIn(join(dataDir, 'archive'), 0, Number.MAX_SAFE_INTEGER)) {
    for (const event of events) {
      const taskId = stepOf(event);
      // Settling is no step: nothing in the history names it.
      if (taskId === undefined || event['detail-type'] === 'TaskSettled') continue;
      const { id, time } = event;
      const { version, causationId } = (event.detail as BatonDetail).metadata;
      const made = histories.get(taskId)?.find((entry) => entry.version === version);
      if (made?.at !== time || made.cause.id !== causationId) found.push({ id, time });
    }
  }
  return found;
}

function assertOneEnd({ history, version }: TaskView): void {
  const ends = history.filter(({ to }) => ['COMPLETED', 'FAILED', 'CANCELLED', 'TIMED_OUT'].includes(to));
  expect(ends).toHaveLength(1);
  expect(history.map((entry) => entry.version)).toEqual(Array.from({ length: version }, (_, index) => index + 1));
}

/** A killed world must never cost an attempt: the runs go on without it. */
const attemptsOf = (started: readonly string[], key: string): number =>
  started.filter((line) => line.startsWith(`${key} `)).length;

const death = (child: ChildProcess, withinMs: number): Promise<unknown> =>
  sleep(Math.random() * withinMs).then(() => child.kill('SIGKILL'));

/** Where the world is found, or undefined when it was killed before it opened. */
async function ready(child: ChildProcessByStdio<null, Readable, Readable>): Promise<string | undefined> {
  let said = '';
  let wrong = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    wrong += text;
  });
  for await (const text of child.stdout.setEncoding('utf8')) {
    said += text;
    const url = /^ready (\S+)\n/.exec(said)?.[1];
    if (url) return url;
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.signalCode === 'SIGKILL') return undefined;
  throw new Error(`the world did not open: ${said} ${wrong}`);
}

/** The task, or undefined when the world died before it answered. */
async function submit(url: string, request: object): Promise<TaskView | undefined> {
  let answer: Response;
  let body: unknown;
  try {
    const headers = { 'content-type': 'application/json' };
    answer = await fetch(`${url}/baton/v1/tasks`, { method: 'POST', headers, body: JSON.stringify(request) });
    body = await answer.json();
  } catch {
    return undefined;
  }
  if (answer.ok) return taskView.parse(body);
  throw new Error(apiError.parse(body).error.message);
}

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DEAD_LETTER_PREFIX } from '../../../runtime/engine/dead-letter-box.ts';
import type { DeadLetter } from '../../../runtime/engine/event-bus.ts';
import { memoryStore } from '../../../runtime/engine/memory-store.ts';
import {
  DEAD_LETTER_RETENTION_DAYS,
  type RunKeeping,
  runDirOf,
  runKeeping,
  TASK_RETENTION_DAYS,
  workedDirOf,
} from '../../../runtime/engine/run-keeping.ts';
import type { RecordStore } from '../../../runtime/ports.ts';
import { journalKey, taskKey } from '../../../runtime/records.ts';
import type { RunRecord } from '../../../schemas/run-record.ts';
import type { Task } from '../../../schemas/task.ts';
import { aTask, aTaskId } from '../../builders.ts';

const NOW = '2026-06-01T12:00:00.000Z';
const daysAgo = (days: number): string => new Date(Date.parse(NOW) - days * 24 * 3_600_000).toISOString();

let folder: string;
let store: RecordStore;
let warnings: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-keeping-'));
  store = memoryStore();
  warnings = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function keepingOf(parts: {
  task?: Task;
  records?: readonly Partial<RunRecord>[];
  durable?: Promise<void>;
}): RunKeeping {
  const { task, records = [], durable } = parts;
  return runKeeping({
    store: {
      get: store.get,
      put: store.put,
      delete: store.delete,
      list: store.list,
      query: store.query,
      durable: () => durable ?? store.durable(),
      close: store.close,
    },
    tasks: { get: async () => task },
    runs: {
      get: async (taskId, attempt) => {
        const record = records[attempt - 1];
        return record && { taskId, attempt, tokenHash: '', openedAt: NOW, ...record };
      },
    },
    clock: { now: () => NOW },
    runsDir: folder,
    warn: (message) => warnings.push(message),
  });
}

/** A run directory with a workspace in it; answers the workspace. */
function aWorkspace(attempt: number): string {
  const dir = runDirOf(folder, aTaskId(), attempt);
  const workspace = join(dir, 'workspace');
  mkdirSync(workspace, { recursive: true });
  const environment = { BATON_TASK_ID: aTaskId(), BATON_ATTEMPT: String(attempt) };
  const spec = {
    schemaVersion: 1,
    taskArn: '',
    command: ['x'],
    environment,
    cwd: dir,
    stopTimeoutSeconds: 1,
    logMaxBytes: 1,
  };
  writeFileSync(join(dir, 'run.json'), JSON.stringify(spec));
  return workspace;
}

const settledTask = (attempt: number): Task => aTask({ status: 'FAILED', attempt, settledAt: daysAgo(1) });
const claim = { nativeId: 'run', at: NOW };
const report = (outcome: 'succeeded' | 'failed', branch: string | null): RunRecord['report'] => ({
  schemaVersion: 1,
  outcome,
  result: {
    branch,
    commit: null,
    baseCommit: null,
    filesChanged: 0,
    insertions: 0,
    deletions: 0,
    pullRequest: null,
  },
  agentExitCode: 0,
  startedAt: NOW,
  endedAt: NOW,
});

describe('the workspace of an attempt whose task has settled', () => {
  it.each<[string, boolean, Partial<RunRecord> | undefined]>([
    ['nobody claimed it', false, {}],
    ['it has no record', false, undefined],
    ['its work was saved', false, { claim, savedWork: { branch: 'b', commit: 'c' } }],
    ['it succeeded', false, { claim, report: report('succeeded', null) }],
    ['it failed with its branch pushed', false, { claim, report: report('failed', 'b') }],
    ['it was claimed and said nothing', true, { claim }],
    ['it failed with nothing pushed', true, { claim, report: report('failed', null) }],
  ])('when %s: kept is %s', async (_when, kept, record) => {
    const first = aWorkspace(1);
    const last = aWorkspace(2);
    const records = record ? [record, record] : [];
    await keepingOf({ task: settledTask(2), records }).settled(aTaskId());
    expect({ first: existsSync(first), last: existsSync(last) }).toEqual({ first: kept, last: kept });
    await keepingOf({ task: settledTask(2), records }).pass();
    expect({ first: existsSync(first), last: existsSync(last) }).toEqual({ first: kept, last: kept });
    expect(warnings).toEqual([]);
  });

  it('stays until the settling is on disk', async () => {
    const workspace = aWorkspace(1);
    let written = (): void => undefined;
    const durable = new Promise<void>((resolve) => {
      written = resolve;
    });
    const cleared = keepingOf({ task: settledTask(1), durable }).settled(aTaskId());
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(existsSync(workspace)).toBe(true);
    written();
    await cleared;
    expect(existsSync(workspace)).toBe(false);
  });

  it('stays when the settling cannot be written', async () => {
    const workspace = aWorkspace(1);
    const durable = Promise.reject(new Error('disk full'));
    await keepingOf({ task: settledTask(1), durable }).settled(aTaskId());
    expect(existsSync(workspace)).toBe(true);
    expect(warnings).toHaveLength(1);
  });
});

describe('an attempt whose session had more than one container', () => {
  const anotherOf = (attempt: number, number: number): string => {
    const dir = `${runDirOf(folder, aTaskId(), attempt)}-${number}`;
    mkdirSync(join(dir, 'workspace'), { recursive: true });
    writeFileSync(join(dir, 'prompt.txt'), 'Say hello.');
    return dir;
  };

  it('worked in the first one in which anything was said', () => {
    const first = dirname(aWorkspace(1));
    expect(workedDirOf(folder, aTaskId(), 1)).toBe(first);
    const [second, third] = [anotherOf(1, 2), anotherOf(1, 3)];
    writeFileSync(join(first, 'agent.log'), '');
    writeFileSync(join(third, 'agent.log'), 'turned away\n');
    writeFileSync(join(second, 'agent.log'), 'cloning\n');
    expect(workedDirOf(folder, aTaskId(), 1)).toBe(second);
  });

  it('keeps no workspace and no prompt in any of them when its task has settled', async () => {
    const workspace = aWorkspace(1);
    const [second, third] = [anotherOf(1, 2), anotherOf(1, 3)];
    await keepingOf({ task: settledTask(1) }).settled(aTaskId());
    expect(existsSync(workspace)).toBe(false);
    for (const dir of [second, third]) expect(readdirSync(dir)).toEqual([]);
  });

  it('leaves none of them behind when its task is too old to be kept', async () => {
    aWorkspace(1);
    anotherOf(1, 2);
    anotherOf(1, 3);
    const old = daysAgo(TASK_RETENTION_DAYS + 1);
    const task = { ...settledTask(1), submittedAt: old, settledAt: old };
    await store.put(taskKey(task.taskId), task, 'absent', { by: 'ada', at: old, open: false });
    expect(await keepingOf({ task }).pass()).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('a run directory that cannot be read', () => {
  it('does not keep the others from being cleared', async () => {
    const workspace = aWorkspace(1);
    for (const name of ['0', 'z']) mkdirSync(join(folder, name, 'workspace'), { recursive: true });
    for (const name of ['0', 'z']) mkdirSync(join(folder, name, 'run.json'));
    await keepingOf({ task: settledTask(1) }).pass();
    expect(existsSync(workspace)).toBe(false);
    expect(warnings).toHaveLength(2);
  });
});

describe('one pass over many old things', () => {
  it('removes every task and rejection past its retention, with what was noted about it', async () => {
    const old = daysAgo(TASK_RETENTION_DAYS + 1);
    for (let number = 0; number < 1_200; number++) {
      const taskId = `t${String(number).padStart(24, '0')}`;
      const answer =
        number % 2 === 0
          ? { ...settledTask(1), taskId, submittedAt: old, settledAt: old }
          : { status: 'REJECTED', taskId, userId: 'ada', at: old };
      await store.put(taskKey(taskId), answer, 'absent', { by: 'ada', at: old, open: false });
      await store.put(journalKey(taskId), { duplicates: 1, ignored: [] }, 'absent');
    }
    const young = { status: 'REJECTED', taskId: 'young', userId: 'ada', at: daysAgo(1) };
    await store.put(taskKey('young'), young, 'absent', { by: 'ada', at: daysAgo(1), open: false });
    expect(await keepingOf({}).pass()).toBe(1_200);
    expect((await store.list('', { limit: 9 })).map(({ key }) => key)).toEqual([taskKey('young')]);
  });

  it('removes dead letters past theirs', async () => {
    for (const [number, age] of [DEAD_LETTER_RETENTION_DAYS + 1, DEAD_LETTER_RETENTION_DAYS - 1].entries()) {
      for (let copy = 0; copy < 30; copy++) {
        const letter: Pick<DeadLetter, 'at'> = { at: daysAgo(age) };
        await store.put(`${DEAD_LETTER_PREFIX}${number}#${copy}`, letter, 'absent');
      }
    }
    await keepingOf({}).pass();
    const left = await store.list(DEAD_LETTER_PREFIX, { limit: 100 });
    expect(left.map(({ value }) => (value as DeadLetter).at)).toEqual(Array(30).fill(daysAgo(29)));
  });
});

describe('a world that settles very many tasks', () => {
  it('keeps nothing in memory of those that were cleared', async () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const keeping = keepingOf({});
    const settle = async (count: number): Promise<number> => {
      for (let done = 0; done < count; done++) await keeping.settled(aTaskId());
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = await settle(1_000);
    const after = await settle(50_000);
    expect((after - before) / 50_000).toBeLessThan(40);
    await keeping.stop();
  });
});

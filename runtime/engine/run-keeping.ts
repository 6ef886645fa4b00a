import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readWhole } from '../../agent/supervisor-files.ts';
import { isSettled } from '../../lifecycle/states.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import { runSpec } from '../../schemas/supervised-run.ts';
import type { Task } from '../../schemas/task.ts';
import type { Clock, RecordStore, Runs, Tasks } from '../ports.ts';
import { journalKey, runKey, taskKey } from '../records.ts';
import { ecsTaskIdOf } from './local-ecs-task.ts';

/** Settled tasks stay known this long, with logs and reports: a month of looking back. Their idempotency keys are free afterwards. */
export const TASK_RETENTION_DAYS = 30;
/** A workspace that may hold the only copy of some work is kept this long after its task settled: a week to come for it. */
export const WORKSPACE_RETENTION_DAYS = 7;
/** Tasks removed, and run directories looked through, in one pass: about a second of work. */
const PASS_MAX = 500;
/** Between two passes of a world that stays open. */
const PASS_INTERVAL_MS = 3_600_000;

const DAY_MS = 24 * 3_600_000;

export interface RunKeepingOptions {
  readonly store: RecordStore;
  readonly tasks: Pick<Tasks, 'get'>;
  readonly runs: Pick<Runs, 'get'>;
  readonly clock: Clock;
  /** The folder of all run directories. */
  readonly runsDir: string;
  readonly warn: (message: string, error: unknown) => void;
}

/** Keeps what settled tasks leave behind within bounds. Touches nothing of a task that is not settled. */
export interface RunKeeping {
  /** The task has settled: its workspaces are removed, unless work in them may exist nowhere else; logs and reports stay. */
  settled(taskId: string): Promise<void>;
  /** One pass over what is old: workspaces that outlived their task, and tasks past their retention. Answers how many tasks were removed. */
  pass(): Promise<number>;
  /** Passes now and then, without keeping the process alive. */
  start(): void;
  /** Ends the passes; one that is under way is awaited. */
  stop(): Promise<void>;
}

/** The directory of a run; its name follows from the client token that the start uses. */
export const runDirOf = (runsDir: string, taskId: string, attempt: number): string =>
  join(runsDir, ecsTaskIdOf(`${taskId}-${attempt}`));

export function runKeeping({ store, tasks, runs, clock, runsDir, warn }: RunKeepingOptions): RunKeeping {
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<unknown> = Promise.resolve();
  let stopped = false;
  const daysAgo = (days: number): string => new Date(Date.parse(clock.now()) - days * DAY_MS).toISOString();

  return {
    settled: (taskId) => track(async () => clear(await tasks.get(taskId))),
    pass,
    start() {
      void track(pass);
      timer = setInterval(() => void track(pass), PASS_INTERVAL_MS);
      timer.unref();
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      await underWay;
    },
  };

  function track(work: () => Promise<unknown>): Promise<void> {
    const done = work().then(
      () => undefined,
      (error: unknown) => warn('what settled tasks left was not cleared away', error),
    );
    underWay = Promise.all([underWay, done]);
    return done;
  }

  async function pass(): Promise<number> {
    for (const taskId of await tasksWithWorkspaces()) {
      if (stopped) return 0;
      await clear(await tasks.get(taskId));
    }
    return removeOldTasks();
  }

  async function clear(task: Task | undefined): Promise<void> {
    if (!task || !isSettled(task)) return;
    for (let attempt = 1; attempt <= task.attempt; attempt++) {
      const dir = runDirOf(runsDir, task.taskId, attempt);
      await rm(join(dir, 'prompt.txt'), { force: true });
      const only = attempt === task.attempt && (await mayBeOnlyCopy(task));
      if (!only) await rm(join(dir, 'workspace'), { recursive: true, force: true });
    }
  }

  /** A run that was killed, or could not push, leaves its work in the workspace alone. */
  async function mayBeOnlyCopy(task: Task): Promise<boolean> {
    if (task.status === 'COMPLETED' || !('settledAt' in task)) return false;
    if ((task.settledAt ?? '') < daysAgo(WORKSPACE_RETENTION_DAYS)) return false;
    const record = await runs.get(task.taskId, task.attempt);
    if (!record?.claim || record.savedWork) return false;
    return !record.report || record.report.reason?.code === 'push_failed';
  }

  async function tasksWithWorkspaces(): Promise<Set<string>> {
    const found = new Set<string>();
    for (const name of (await readdir(runsDir)).slice(0, PASS_MAX * 20)) {
      if (found.size >= PASS_MAX || stopped) break;
      const dir = join(runsDir, name);
      const isThere = await stat(join(dir, 'workspace')).then(
        () => true,
        () => false,
      );
      const spec = isThere ? runSpec.safeParse(readWhole(join(dir, RUN_FILES.spec))).data : undefined;
      const taskId = spec?.environment['BATON_TASK_ID'];
      if (taskId !== undefined) found.add(taskId);
    }
    return found;
  }

  async function removeOldTasks(): Promise<number> {
    const limit = daysAgo(TASK_RETENTION_DAYS);
    let before = { at: limit, key: '' };
    let removed = 0;
    for (let looked = 0; looked < PASS_MAX && !stopped; ) {
      const page = await store.query({ open: false, before, limit: 50 });
      for (const { key, value } of page) {
        const task = taskOf(value);
        before = { at: task.submittedAt, key };
        if (!('settledAt' in task) || task.settledAt === undefined || task.settledAt >= limit) continue;
        await remove(task);
        removed += 1;
      }
      looked += page.length;
      if (page.length < 50) break;
    }
    return removed;
  }

  /** The task's own record goes last, so that a crash in between leaves it to the next pass. */
  async function remove(task: Task): Promise<void> {
    for (let attempt = 1; attempt <= task.attempt; attempt++) {
      await rm(runDirOf(runsDir, task.taskId, attempt), { recursive: true, force: true });
      await store.delete(runKey(task.taskId, attempt));
    }
    await store.delete(journalKey(task.taskId));
    await store.delete(taskKey(task.taskId));
  }
}

/** Only tasks are indexed. */
const taskOf = (value: unknown): Task => value as Task;

import { existsSync, statSync } from 'node:fs';
import { opendir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { readWhole } from '../../agent/supervisor-files.ts';
import { isSettled } from '../../lifecycle/states.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import { runSpec } from '../../schemas/supervised-run.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import type { Clock, RecordStore, Runs, Tasks } from '../ports.ts';
import { journalKey, runKey, taskKey } from '../records.ts';
import { deadLettersIn } from './dead-letter-box.ts';
import { ecsTaskIdOf } from './local-ecs-task.ts';

/** Settled tasks stay known this long, with logs and reports: a month of looking back. Their idempotency keys are free afterwards. */
export const TASK_RETENTION_DAYS = 30;
/** A workspace that may hold the only copy of some work is kept this long after its task settled: a week to come for it. */
export const WORKSPACE_RETENTION_DAYS = 7;
/** Dead letters are kept as long as the tasks that they are about: a month to mend what failed. */
export const DEAD_LETTER_RETENTION_DAYS = 30;
/** Records read at once; between two pages others have their turn. */
const PAGE = 50;
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

/** Keeps what settled tasks leave behind within bounds. Touches nothing of a task that is not settled on disk. */
export interface RunKeeping {
  /** The task has settled: its workspaces are removed, unless work in them may exist nowhere else; logs and reports stay. */
  settled(taskId: string): Promise<void>;
  /**
   * One pass over all that is old: workspaces that outlived their task, tasks, rejections and dead letters past their retention.
   * Answers how many tasks and rejections were removed.
   */
  pass(): Promise<number>;
  /** Passes now and then, without keeping the process alive. */
  start(): void;
  /** Ends the passes; one that is under way is awaited. */
  stop(): Promise<void>;
}

/** The directory of a run; its name follows from the client token that the start uses. */
export const runDirOf = (runsDir: string, taskId: string, attempt: number): string =>
  join(runsDir, ecsTaskIdOf(`${taskId}-${attempt}`));

/**
 * The directory in which an attempt worked. A session of AgentCore that ended and was invoked again has one directory more: the first
 * container that anything was said in is the one that got the attempt, as all later ones are turned away.
 */
export const workedDirOf = (runsDir: string, taskId: string, attempt: number): string => {
  const [first = '', ...more] = runDirsOf(runsDir, taskId, attempt);
  return [first, ...more].find((dir) => sizeOf(join(dir, RUN_FILES.log)) > 0) ?? first;
};

/** All directories of an attempt, the first one whether it exists or not. */
function runDirsOf(runsDir: string, taskId: string, attempt: number): string[] {
  const dirs = [runDirOf(runsDir, taskId, attempt)];
  for (let number = 2; existsSync(`${dirs[0]}-${number}`); number++) dirs.push(`${dirs[0]}-${number}`);
  return dirs;
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

export function runKeeping({ store, tasks, runs, clock, runsDir, warn }: RunKeepingOptions): RunKeeping {
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<void> = Promise.resolve();
  let stopped = false;
  const daysAgo = (days: number): string => new Date(Date.parse(clock.now()) - days * DAY_MS).toISOString();

  return {
    settled: (taskId) => track(() => clear(taskId)),
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
    // Without what they answered: this chain is as long as the world's life.
    underWay = Promise.all([underWay, done]).then(() => undefined);
    return done;
  }

  async function pass(): Promise<number> {
    for await (const { taskId, attempt } of runsWithWorkspace()) {
      if (stopped) return 0;
      await clear(taskId, attempt);
    }
    await removeOldDeadLetters();
    return removeOldTasks();
  }

  /** Clears the workspace of one attempt, or of all. */
  async function clear(taskId: string, only?: number): Promise<void> {
    const task = await tasks.get(taskId);
    if (!task || !isSettled(task)) return;
    // After a crash, a task that was settled in memory alone would go on, and need what is removed here.
    await store.durable();
    for (let attempt = only ?? 1; attempt <= (only ?? task.attempt); attempt++) {
      const keepsWork = await mayBeOnlyCopy(task, attempt);
      for (const dir of runDirsOf(runsDir, taskId, attempt)) {
        await rm(join(dir, 'prompt.txt'), { force: true });
        if (!keepsWork) await rm(join(dir, 'workspace'), { recursive: true, force: true });
      }
    }
  }

  /** A run that was killed, gave up, or could not push, leaves its work in the workspace alone. */
  async function mayBeOnlyCopy(task: Task, attempt: number): Promise<boolean> {
    if (!('settledAt' in task) || (task.settledAt ?? '') < daysAgo(WORKSPACE_RETENTION_DAYS)) return false;
    const record = await runs.get(task.taskId, attempt);
    if (!record?.claim || record.savedWork) return false;
    return record.report?.outcome !== 'succeeded' && !record.report?.result.branch;
  }

  async function* runsWithWorkspace(): AsyncGenerator<{ taskId: string; attempt: number }> {
    for await (const { name } of await opendir(runsDir)) {
      const dir = join(runsDir, name);
      const isThere = await stat(join(dir, 'workspace')).then(
        () => true,
        () => false,
      );
      if (!isThere) continue;
      const { BATON_TASK_ID: taskId, BATON_ATTEMPT: attempt } = environmentOf(dir);
      if (taskId !== undefined && attempt !== undefined) yield { taskId, attempt: Number(attempt) };
    }
  }

  /** What cannot be read is left alone; one such directory must not keep the others. */
  function environmentOf(dir: string): Readonly<Record<string, string>> {
    try {
      return runSpec.safeParse(readWhole(join(dir, RUN_FILES.spec))).data?.environment ?? {};
    } catch (error) {
      warn(`${dir} cannot be read`, error);
      return {};
    }
  }

  async function removeOldDeadLetters(): Promise<void> {
    const limit = daysAgo(DEAD_LETTER_RETENTION_DAYS);
    for await (const { key, letter } of deadLettersIn(store)) {
      if (stopped) return;
      if (letter.at < limit) await store.delete(key);
      await nextTurn();
    }
  }

  async function removeOldTasks(): Promise<number> {
    const limit = daysAgo(TASK_RETENTION_DAYS);
    let before = { at: limit, key: '' };
    let removed = 0;
    while (!stopped) {
      const page = await store.query({ open: false, before, limit: PAGE });
      for (const { key, value } of page) {
        const answer = answerOf(value);
        before = { at: answer.status === 'REJECTED' ? answer.at : answer.submittedAt, key };
        if (answer.status !== 'REJECTED' && !isSettledBefore(answer, limit)) continue;
        await remove(answer);
        removed += 1;
      }
      if (page.length < PAGE) break;
      await nextTurn();
    }
    return removed;
  }

  /** The record that answers goes last, so that a crash in between leaves it to the next pass. */
  async function remove(answer: Task | Rejection): Promise<void> {
    const { taskId } = answer;
    const attempts = answer.status === 'REJECTED' ? 0 : answer.attempt;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      // The first goes last: without it, the others are not found any more.
      for (const dir of runDirsOf(runsDir, taskId, attempt).reverse()) await rm(dir, { recursive: true, force: true });
      await store.delete(runKey(taskId, attempt));
    }
    await store.delete(journalKey(taskId));
    await store.delete(taskKey(taskId));
  }
}

const isSettledBefore = (task: Task, limit: string): boolean =>
  'settledAt' in task && task.settledAt !== undefined && task.settledAt < limit;

/** Nothing but answers to requests is listed. */
const answerOf = (value: unknown): Task | Rejection => value as Task | Rejection;

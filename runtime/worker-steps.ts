import { runOf } from '../lifecycle/states.ts';
import { isOwned } from '../lifecycle/worker.ts';
import type { BatonEvent } from '../schemas/envelope.ts';
import { ec2Handle } from '../schemas/ssm-command.ts';
import type { Task } from '../schemas/task.ts';
import type { Worker } from '../schemas/worker.ts';
import type { Outcome } from './outcome.ts';
import type { Ports } from './ports.ts';
import { causeOf, subject } from './react.ts';

/**
 * How often what a machine's group was told is compared with its worker: each further time somebody took the worker, or gave it back. Few
 * do so during one call, and whoever is the last to tell must be right, so there are more tries than that.
 */
const TELL_TRIES = 10;

/**
 * Tells the group of a machine that is free what it may do with it: one that may go goes if it is waited for, and an idle one may be taken.
 * Twice is harmless, and so is one who takes the worker meanwhile: what was told is compared with the worker afterwards.
 */
export async function releaseWorker(
  {
    workers,
    machines,
  }: { workers: Pick<Ports['workers'], 'get'>; machines: Pick<Ports['machines'], 'protect' | 'proceed'> },
  id: string,
): Promise<void> {
  let worker = await workers.get(id);
  let told: Standing | undefined;
  for (let tries = 0; worker && tries < TELL_TRIES; tries++) {
    const standing = standingOf(worker);
    if (standing === told || standing === 'out') return;
    // Whoever has it has had it kept already; unless it was let go of since.
    if (standing === 'used' && told === undefined) return;
    if (standing === 'leaving') return machines.proceed(worker, 'terminate');
    await machines.protect(worker, standing === 'used');
    told = standing;
    worker = await workers.get(id);
  }
  // Whoever has it then has not asked for it: better one too many that stays.
  if (worker && told === 'idle' && standingOf(worker) === 'used') await machines.protect(worker, true);
}

type Standing = 'used' | 'idle' | 'leaving' | 'out';

function standingOf(worker: Worker): Standing {
  if (isOwned(worker)) return 'used';
  if (worker.state === 'idle') return 'idle';
  return worker.state === 'quarantined' && worker.leaving ? 'leaving' : 'out';
}

/**
 * The worker that an attempt was given: from the handle of its run, or, where the task has gone on since, from what was said of that attempt.
 * Undefined where none was.
 */
export function workerOf(task: Task, attempt: number): string | undefined {
  const run = runOf(task);
  const told = task.history.filter((entry) => entry.attempt === attempt).flatMap(({ facts }) => facts);
  const handles = [
    ...(run?.attempt === attempt ? [run.handle] : []),
    ...told.map(({ data }) => (data as { handle?: unknown } | undefined)?.handle),
  ];
  const found = handles.map((handle) => ec2Handle.safeParse(handle).data).find((handle) => handle?.attempt === attempt);
  return found?.instanceId;
}

/** With what must be said of the worker of the run that an event is about: that nobody can prove it clean. */
export async function workersTold(
  event: BatonEvent,
  { tasks, workers }: Pick<Ports, 'tasks' | 'workers'>,
  outcomes: Outcome | readonly Outcome[],
): Promise<readonly Outcome[]> {
  const { taskId, attempt, correlationId } = subject(event);
  const all = 'kind' in outcomes ? [outcomes] : outcomes;
  const task = await tasks.get(taskId);
  const worker = task && workerOf(task, attempt);
  return worker === undefined ? all : [...all, await workers.told(worker, { cause: causeOf(event), correlationId })];
}

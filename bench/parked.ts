import { hasRun } from '../lifecycle/states.ts';
import { embeddedTimings } from '../lifecycle/timings.ts';
import type { StoredRecord } from '../runtime/ports.ts';
import type { Task, TaskWithRun } from '../schemas/task.ts';
import { type SimulatedRun, simulatedRun } from './lifecycles.ts';
import { type Load, openLoad } from './load.ts';
import { cpuMs, memoryMb, percentile, sleep } from './meter.ts';

/** Clients that fill the world, and that empty it again. */
const CLIENTS = 64;
/** Parked tasks that are completed one after the other to see how long that takes. */
const PROBES = 100;
/** Full life cycles before anything is measured, so that code is compiled and buffers are there. */
const WARM_UP_TASKS = 300;
/** Every task is woken once for the due date of the state that it left early; idle means after that. */
const WAKE_UP_MS = embeddedTimings.STEP_RETRY_S * 1000 + 2_000;
/** Until what filling the world left behind is written and collected. */
const CALM_MS = 1_500;

export interface ParkedOptions {
  readonly dataDir: string;
  /** Ascending. */
  readonly levels: readonly number[];
  readonly idleMs: number;
}

export type ParkedFigures = Readonly<
  Record<'parked' | 'perSecond' | 'idleCpuPercent' | 'kbPerTask' | 'signalP50' | 'signalP99', number>
>;

/** Fills the world with tasks that stay in RUNNING. Leaves it open: the caller ends the process, as a crash would. */
export async function parkedTasks({ dataDir, levels, idleMs }: ParkedOptions): Promise<ParkedFigures[]> {
  const load = await openLoad(dataDir);
  await inParallel(WARM_UP_TASKS, () => load.live());
  await sleep(CALM_MS);
  const emptyMb = memoryMb().pss;
  const warmUpMs = performance.now();
  const figures: ParkedFigures[] = [];
  for (const level of levels) {
    const wanted = level - load.parked.size;
    const startedMs = performance.now();
    await inParallel(wanted, () => load.park());
    const perSecond = wanted / ((performance.now() - startedMs) / 1000);
    // A short fill is looked at before the first task is woken, a long one after the last.
    const idleInTime = performance.now() - warmUpMs + CALM_MS + idleMs < embeddedTimings.STEP_RETRY_S * 1000;
    await sleep(idleInTime ? CALM_MS : WAKE_UP_MS);
    const before = { cpu: cpuMs(), at: performance.now() };
    await sleep(idleMs);
    const idleCpuPercent = (100 * (cpuMs() - before.cpu)) / (performance.now() - before.at);
    const kbPerTask = ((memoryMb().pss - emptyMb) * 1024) / level;
    const waits = await probe(load);
    figures.push({
      parked: level,
      perSecond,
      idleCpuPercent,
      kbPerTask,
      signalP50: percentile(waits, 0.5),
      signalP99: percentile(waits, 0.99),
    });
  }
  if (load.starts() !== WARM_UP_TASKS + (levels.at(-1) ?? 0) + levels.length * PROBES) {
    throw new Error(`compute accepted ${load.starts()} starts`);
  }
  await load.world.store.durable();
  return figures;
}

export type RestartFigures = Readonly<
  Record<'processMs' | 'openMs' | 'recoverMs' | 'found' | 'startedAgain' | 'settled' | 'perSecond', number>
>;

/** Opens a world that another process left without a word, and ends every run that it finds. */
export async function restart({ dataDir }: { dataDir: string }): Promise<RestartFigures> {
  const beganMs = performance.now();
  const load = await openLoad(dataDir);
  const openedMs = performance.now();
  const found = await load.world.engine.recover();
  const readyMs = performance.now();
  const runs = await runningTasks(load);
  const emptyingMs = performance.now();
  const left = [...runs];
  let settled = 0;
  await inParallel(runs.length, async () => {
    const run = left.pop();
    if (run) await load.finish(run);
    settled++;
  });
  const perSecond = settled / ((performance.now() - emptyingMs) / 1000);
  const held = await load.slotsHeld();
  if (runs.length !== found || held !== 0) {
    throw new Error(`${found} tasks unsettled, ${runs.length} of them running, ${held} slots not returned`);
  }
  await load.close();
  return {
    processMs: readyMs,
    openMs: openedMs - beganMs,
    recoverMs: readyMs - openedMs,
    found,
    startedAgain: load.starts(),
    settled,
    perSecond,
  };
}

async function probe(load: Load): Promise<number[]> {
  const waits: number[] = [];
  for (const run of [...load.parked.values()].slice(0, PROBES)) {
    const { signalMs, settledMs } = await load.finish(run);
    waits.push(settledMs - signalMs);
  }
  await inParallel(waits.length, () => load.park());
  return waits;
}

async function runningTasks({ world }: Load): Promise<SimulatedRun[]> {
  const runs: SimulatedRun[] = [];
  let page: StoredRecord[] = [];
  do {
    page = await world.store.list('TASK#', { limit: 1_000, after: page.at(-1)?.key ?? '' });
    for (const { value } of page) {
      const task = value as Task;
      if (hasRun(task)) runs.push(runIn(task));
    }
  } while (page.length > 0);
  return runs;
}

function runIn(task: TaskWithRun): SimulatedRun {
  const { taskId, attempt, run } = task;
  const { startedBy } = run;
  return simulatedRun({
    taskId,
    attempt,
    startedBy,
    clientToken: `${taskId}-${attempt}`,
    environment: { BATON_TASK_ID: taskId, BATON_ATTEMPT: String(attempt), BATON_PAYLOAD: task.input },
    command: ['run'],
  });
}

async function inParallel(times: number, once: () => Promise<unknown>): Promise<void> {
  let left = times;
  const client = async (): Promise<void> => {
    while (left-- > 0) await once();
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

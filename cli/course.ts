import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { workedDirOf } from '../runtime/engine/run-keeping.ts';
import { BatonError } from '../runtime/errors.ts';
import { RUN_FILES } from '../schemas/run-files.ts';
import type { TaskRequest } from '../schemas/task-request.ts';
import type { TaskView } from '../schemas/task-view.ts';
import { type Attachment, attach, joinWorld } from './attach.ts';
import { errorLines, WorldRefusal } from './cli-error.ts';
import { CLI_EXIT, exitCodeOf } from './exit-codes.ts';
import { isNoWorld } from './find-world.ts';
import { type Follower, follower, isOverFor, lingersFor } from './follow.ts';
import type { Leaving } from './interruption.ts';
import { standBy, standingBy } from './joined.ts';
import { logTail } from './log-tail.ts';
import { assertAgent } from './task-options.ts';
import type { TaskReport } from './task-report.ts';
import { isOver } from './timeline.ts';
import { unsavedText } from './unsaved-work.ts';
import { SCREENING_IS_OFF } from './world-means.ts';
import type { WorldNotices } from './world-notices.ts';

/** A task that is over is told at the latest after this time, in milliseconds, even if its run lingers and it is not settled. */
const SETTLE_WAIT_MS = 5_000;
/** A wait for the run of a task that is over is silent this long, in milliseconds: most runs are gone sooner. */
const LINGER_SILENT_MS = 1_000;
/** Who leaves waits for the answer to a cancel that is under way this long, in milliseconds, so that it can say what becomes of it. */
const CANCEL_WAIT_MS = 2_000;
/** How often the keeper of a world looks, in milliseconds, whether it is still needed. */
const KEEP_INTERVAL_MS = 200;
/** Whoever stood by opens a world that was handed over within this time, in milliseconds; else it is opened here again. */
const HANDOVER_WAIT_MS = 8_000;

/** One task from its request to its end, in whichever world of the data directory lives at the time. */
export interface Course {
  /** Submits, follows, tells the end, and keeps the world as long as it is needed. Answers the exit code. */
  run(): Promise<number>;
  /** Asks the world to cancel the task, once there is one. False when the task is over already. */
  cancel(): boolean;
  /** Resolves when a world of ours cannot go on, as on a full disk. Never rejects. */
  readonly failed: Promise<BatonError>;
  /** Leaves the task as it is and says what becomes of it. Answers the exit code. */
  leave(how: Leaving | BatonError): Promise<number>;
  /** Closes the world if it is ours. */
  close(): Promise<void>;
}

export function courseOf(options: {
  readonly dataDir: string;
  /** With an idempotency key, so that it is harmless to ask twice when a world goes away before it has answered. */
  readonly request: TaskRequest;
  readonly report: TaskReport;
  readonly complain: (text: string) => void;
  readonly notices: WorldNotices;
}): Course {
  const { dataDir, request, report, complain, notices } = options;
  let place: Attachment | undefined;
  let task: Follower | undefined;
  let endStandBy = (): void => undefined;
  let isCancelWanted = false;
  let isCancelKept = false;
  let cancelling: Promise<void> = Promise.resolve();
  let isLingerTold = false;
  let isLeaving = false;
  let hasFailed = false;
  let worldFailed: (error: BatonError) => void = () => undefined;
  const failed = new Promise<BatonError>((resolve) => {
    worldFailed = resolve;
  });

  return { run, cancel, failed, leave, close };

  async function run(): Promise<number> {
    const view = await inSomeWorld(async ({ client }) => {
      if (!task) await assertAgent(client, request, process.env);
      task ??= begin(await client.submit(request));
      if (isCancelWanted) await sendCancel();
      return task.follow(client, (seen) => {
        tellLingering(seen);
        return isOverFor(SETTLE_WAIT_MS)(seen);
      });
    });
    report.end(view, { ...logOf(view), unsaved: unsavedText(view, dataDir) });
    endStandBy();
    while (await isNeeded()) await sleep(KEEP_INTERVAL_MS);
    return exitCodeOf(view.status);
  }

  function cancel(): boolean {
    if (task && isOver(task.view())) return false;
    isCancelWanted = true;
    report.remark('Cancelling. Ctrl-C once more leaves the task to the next start.');
    cancelling = sendCancel().catch((error: unknown) => complain(`baton: not cancelled: ${String(error)}`));
    return true;
  }

  async function leave(how: Leaving | BatonError): Promise<number> {
    isLeaving = true;
    await Promise.race([cancelling, sleep(CANCEL_WAIT_MS, undefined, { ref: false })]);
    const view = task?.view();
    if (how instanceof BatonError) {
      hasFailed = true;
      for (const line of errorLines(how, process.env['BATON_DEBUG'] === '1')) complain(line);
      if (!view) return CLI_EXIT.failed;
      if (isOver(view)) return exitCodeOf(view.status);
      complain(
        `baton: ${view.taskId} is kept in ${view.status}; it goes on at the next \`baton run\` or \`baton dev\` on ${dataDir}.`,
      );
      return CLI_EXIT.failed;
    }
    if (!view) return how === 'interrupted' ? CLI_EXIT.interrupted : CLI_EXIT.terminated;
    if (isOver(view)) {
      complain(`baton: left other tasks; the next \`baton run\` or \`baton dev\` on ${dataDir} takes them up.`);
      return exitCodeOf(view.status);
    }
    const state = `in ${view.status}${isCancelKept ? ', its cancel is kept' : ''}`;
    complain(
      place?.own
        ? `baton: left ${view.taskId} ${state}; the next \`baton run\` or \`baton dev\` on ${dataDir} takes it up.`
        : `baton: left ${view.taskId} ${state}; the world at ${place?.client.url} goes on with it.`,
    );
    return how === 'interrupted' ? CLI_EXIT.interrupted : CLI_EXIT.terminated;
  }

  async function close(): Promise<void> {
    isLeaving = true;
    endStandBy();
    const own = place?.own;
    place = undefined;
    try {
      await own?.close();
    } catch (error) {
      // Said already, when it happened.
      if (!hasFailed) throw error;
    }
  }

  /** Works in the world of the data directory, and again in the next one when that goes away meanwhile. */
  async function inSomeWorld<Answer>(work: (place: Attachment) => Promise<Answer>): Promise<Answer> {
    for (;;) {
      const here = await enter();
      try {
        return await work(here);
      } catch (error) {
        if (here.own || isLeaving || !isNoWorld(error)) throw error;
        report.remark('The world went away; looking for the next one.');
      }
    }
  }

  async function enter(): Promise<Attachment> {
    const isNext = place !== undefined;
    const here = await watched(await attach(dataDir, notices));
    place = here;
    if (isLeaving) await close();
    endStandBy();
    endStandBy = here.own ? () => undefined : standBy(dataDir, process.pid);
    if (!here.own) report.remark(`Joined the world of process ${here.pid} at ${here.client.url}.`);
    else if (isNext) report.remark(`Took the world over, at ${here.client.url}.`);
    else report.remark(SCREENING_IS_OFF);
    return here;
  }

  function watched(here: Attachment): Attachment {
    void here.own?.failed.then(worldFailed);
    return here;
  }

  function begin(first: TaskView): Follower {
    report.begin(first);
    return follower(first, report.news);
  }

  async function sendCancel(): Promise<void> {
    if (!task || !place) return;
    try {
      await place.client.cancel(task.view().taskId, 'Ctrl-C where it was started');
      isCancelKept = true;
    } catch (error) {
      // Ended by itself just now; or the world goes away, and the next one is asked again.
      if (!(error instanceof WorldRefusal) && !isNoWorld(error)) throw error;
    }
  }

  function tellLingering(view: TaskView): void {
    if (isLingerTold || !lingersFor(LINGER_SILENT_MS)(view)) return;
    isLingerTold = true;
    report.remark(`Waiting until its ${view.compute === 'agentcore' ? 'session' : 'run'} is gone.`);
  }

  /** Whether our world must stay; hands it over where somebody stands by. */
  async function isNeeded(): Promise<boolean> {
    if (!place?.own || isLeaving) return false;
    const { unsettled } = await place.client.facts();
    if (unsettled === 0) return false;
    const [next] = standingBy(dataDir, Date.now());
    if (next !== undefined) return !(await handOver(place.own, next));
    report.keeping(unsettled);
    return true;
  }

  async function handOver(own: NonNullable<Attachment['own']>, next: number): Promise<boolean> {
    place = undefined;
    await own.close();
    const untilMs = Date.now() + HANDOVER_WAIT_MS;
    while (Date.now() < untilMs) {
      const taken = await joinWorld(dataDir);
      if (taken) {
        report.remark(`Handed the world over to process ${taken.pid}.`);
        return true;
      }
      if (isLeaving) return true;
      await sleep(KEEP_INTERVAL_MS);
    }
    report.remark(`Process ${next} did not take the world over.`);
    place = await watched(await attach(dataDir, notices));
    return place.own === undefined;
  }

  function logOf(view: TaskView): { logFile?: string; logTail?: string[] } {
    if (view.status === 'COMPLETED' || view.run === undefined) return {};
    const logFile = join(workedDirOf(join(dataDir, 'runs'), view.taskId, view.run.attempt), RUN_FILES.log);
    return { logFile, logTail: view.status === 'FAILED' ? logTail(logFile) : [] };
  }
}

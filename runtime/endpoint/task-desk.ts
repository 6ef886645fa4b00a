import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { taskCancelRequested } from '../../events/task-cancel-requested.ts';
import { taskRequested } from '../../events/task-requested.ts';
import { explain as explained } from '../../lifecycle/explain.ts';
import { isSettled, isTerminal, runOf } from '../../lifecycle/states.ts';
import { blamedIn } from '../../lifecycle/terms.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { Explanation } from '../../schemas/explanation.ts';
import { RUN_FILES } from '../../schemas/run-files.ts';
import type { Slot } from '../../schemas/slot.ts';
import type { Rejection, Task } from '../../schemas/task.ts';
import { type TaskRequest, taskRequest } from '../../schemas/task-request.ts';
import type { TaskSummary, TaskView } from '../../schemas/task-view.ts';
import { cancelRequest } from '../../schemas/world-api.ts';
import type { EngineJournal } from '../engine/journal.ts';
import { workedDirOf } from '../engine/run-keeping.ts';
import { BatonError } from '../errors.ts';
import type { RecordStore, Runs } from '../ports.ts';
import { slotKey, taskKey } from '../records.ts';
import { requestHash, taskIdFor, USER_DEFAULT } from '../task-id.ts';
import type { DeadLetterDesk } from './dead-letter-desk.ts';
import { inputOf } from './input.ts';
import { type Beside, summaryOf, viewOf } from './task-views.ts';

/** How long a client waits until its request was handled: a step takes milliseconds, a full queue of them seconds. */
const HANDLED_WITHIN_MS = 15_000;
/** First pause between two looks whether it was; doubles up to the next bound. */
const LOOK_FIRST_MS = 1;
const LOOK_MAX_MS = 50;
/** Shortest beginning of a task id that stands for it: with four random characters a mix-up is one in a million. */
export const TASK_PREFIX_MIN = 5;
/** Tasks listed when nobody says how many, and at most. */
export const LIST_DEFAULT = 100;
export const LIST_MAX = 1_000;

export interface ListOptions {
  readonly limit?: number | undefined;
  /** The tasks after this one in the list: the last of an earlier answer. */
  readonly after?: string | undefined;
  readonly userId?: string | undefined;
  /** Only tasks that are settled, or only those that are not. */
  readonly settled?: boolean | undefined;
}

/** A run's log as far as it is written. */
export interface RunLog {
  readonly file: string;
  readonly attempt: number;
  /** The run had ended when this was asked. */
  readonly ended: boolean;
}

/** What producers and operators may ask of a world. Everything that it tells is on disk. Errors are BatonError. */
export interface TaskDesk {
  /** Validates, hands the request over, and waits for the answer. Throws `bad_input`, `rejected`, `given_up`, `not_answered`. */
  submit(request: unknown): Promise<TaskView>;
  /** Asks that a task ends, and waits until that was heard. Throws `unknown_task`, `ambiguous_task`, `task_ended`, `given_up`, `not_answered`. */
  cancel(idOrPrefix: string, request?: unknown): Promise<TaskView>;
  /** Throws `unknown_task`, `ambiguous_task`, or `rejected` where a rejection stands under the id. */
  view(idOrPrefix: string): Promise<TaskView>;
  /** Why a task stands where it stands, and what comes next. Throws as `view` does. */
  explain(idOrPrefix: string): Promise<Explanation>;
  /** Newest first. */
  list(options?: ListOptions): Promise<TaskSummary[]>;
  /** The log of the current attempt, or of an earlier one. */
  log(idOrPrefix: string, attempt?: number): Promise<RunLog>;
  /** The whole id. Throws as `view` does. */
  find(idOrPrefix: string): Promise<string>;
}

/** What the desk needs of a world: its records, a bus to ask on, and what is noted beside a task. */
export interface DeskOver {
  readonly store: Pick<RecordStore, 'get' | 'list' | 'query' | 'durable'>;
  readonly bus: { publish(events: readonly Envelope[]): Promise<void> };
  readonly ports: { readonly runs: Pick<Runs, 'get'> };
  /** None where what was ignored goes to logs. */
  readonly journal?: Pick<EngineJournal, 'read'>;
  /** None where dead letters are not at hand. */
  readonly letters?: Letters | undefined;
}

/** Tells whether an event was given up. */
export type Letters = Pick<DeadLetterDesk, 'of'>;

export function taskDesk({ store, bus, ports, journal, letters }: DeskOver, runsDir: string): TaskDesk {
  return { submit, cancel, view, explain, list, log, find: async (id) => (await found(id)).taskId };

  async function submit(given: unknown): Promise<TaskView> {
    const asked = inputOf(taskRequest, given, 'the request');
    assertReachable(asked.repository);
    const userId = asked.userId ?? USER_DEFAULT;
    const event = requestEvent(taskRequested.type, asked);
    const taskId = taskIdFor(
      userId,
      asked.idempotencyKey === undefined ? { eventId: event.id } : { key: asked.idempotencyKey },
    );
    const hash = requestHash({ ...asked, userId });
    const known = await recordOf(taskId);
    // A known request needs no event; the same key with other content is counted by the one who accepts.
    if (known?.requestHash !== hash) await bus.publish([event]);
    await store.durable();
    const named =
      asked.idempotencyKey === undefined ? '' : ` (idempotency key ${JSON.stringify(asked.idempotencyKey)})`;
    const what = `the request for task ${taskId}${named}`;
    const answer =
      known ??
      (await until(
        handledOr(event, what, () => recordOf(taskId)),
        what,
      ));
    const task = accepted(answer);
    const shown = viewOf(task, await besideOf(task));
    await store.durable();
    return task.requestHash === hash ? shown : { ...shown, reused: true };
  }

  async function cancel(idOrPrefix: string, given: unknown = {}): Promise<TaskView> {
    const { reason } = inputOf(cancelRequest, given, 'the cancellation');
    const task = await found(idOrPrefix);
    const { taskId } = task;
    const what = `the cancellation of task ${taskId}`;
    let look = (): Promise<Task | undefined> => heardOf(taskId);
    if (task.status !== 'CANCELLED') {
      assertLives(task);
      const data = { taskId, ...(reason === undefined ? {} : { reason }) };
      // A task is cancelled once, so the id of the wish follows from the task.
      const event = requestEvent(taskCancelRequested.type, data, `${taskId}#cancel`);
      await bus.publish([event]);
      await store.durable();
      look = handledOr(event, what, look);
    }
    const heard = await until(look, what);
    if (heard.status !== 'STOPPING' && heard.status !== 'CANCELLED') assertLives(heard);
    return show(heard);
  }

  async function heardOf(taskId: string): Promise<Task | undefined> {
    const now = accepted(await recordOf(taskId));
    return isTerminal(now) || (now.status === 'STOPPING' && now.intent === 'cancelled') ? now : undefined;
  }

  /** A look that ends at once when the request was given up. */
  function handledOr<Found>(event: Envelope, what: string, look: () => Promise<Found | undefined>) {
    return async (): Promise<Found | undefined> => (await look()) ?? (await assertNotGivenUp(letters, event, what));
  }

  async function view(idOrPrefix: string): Promise<TaskView> {
    return show(await found(idOrPrefix));
  }

  async function explain(idOrPrefix: string): Promise<Explanation> {
    const task = await found(idOrPrefix);
    const attempts = Array.from({ length: task.attempt }, (_, before) => before + 1);
    const [stored, kept, ...runs] = await Promise.all([
      store.get(slotKey(task.slotKey)),
      journal?.read(task.taskId),
      ...attempts.map((attempt) => ports.runs.get(task.taskId, attempt)),
    ]);
    const told = explained({
      task,
      records: runs.flatMap((record) => record ?? []),
      slot: stored?.value as Slot | undefined,
      journal: kept,
      at: new Date().toISOString(),
    });
    await store.durable();
    return told;
  }

  async function show(task: Task): Promise<TaskView> {
    const shown = viewOf(task, await besideOf(task));
    await store.durable();
    return shown;
  }

  async function list({ limit = LIST_DEFAULT, after, userId, settled }: ListOptions = {}): Promise<TaskSummary[]> {
    const last = after === undefined ? undefined : await found(after);
    const wanted = Math.min(limit, LIST_MAX);
    const tasks: Task[] = [];
    let before = last && { at: last.submittedAt, key: taskKey(last.taskId) };
    for (let more = true; more && tasks.length < wanted; ) {
      const page = await store.query({
        limit: wanted,
        ...(before === undefined ? {} : { before }),
        ...(userId === undefined ? {} : { by: userId }),
        ...(settled === undefined ? {} : { open: !settled }),
      });
      for (const { key, value } of page) {
        const answer = answerOf(value);
        before = { at: answer.status === 'REJECTED' ? answer.at : answer.submittedAt, key };
        if (answer.status !== 'REJECTED' && tasks.length < wanted) tasks.push(answer);
      }
      more = page.length === wanted;
    }
    const slots = slotsOnce();
    const shown = await Promise.all(tasks.map(async (task) => summaryOf(task, await besideOf(task, slots))));
    await store.durable();
    return shown;
  }

  async function log(idOrPrefix: string, attempt?: number): Promise<RunLog> {
    const task = await found(idOrPrefix);
    const wanted = attempt ?? task.attempt;
    if (wanted > task.attempt) {
      throw new BatonError('bad_input', `Task ${task.taskId} has had ${task.attempt} attempts; there is no ${wanted}.`);
    }
    const dir = workedDirOf(runsDir, task.taskId, wanted);
    const over = wanted < task.attempt || isSettled(task) || (isTerminal(task) && runOf(task) === undefined);
    const ended = over || existsSync(`${dir}/${RUN_FILES.exit}`);
    return { file: `${dir}/${RUN_FILES.log}`, attempt: wanted, ended };
  }

  async function besideOf(task: Task, slots = slotsOnce()): Promise<Beside> {
    const [record, kept, slot] = await Promise.all([
      ports.runs.get(task.taskId, task.attempt),
      journal?.read(task.taskId) ?? NOTHING_NOTED,
      task.status === 'QUEUED' ? slots(task.slotKey) : undefined,
    ]);
    return { record, journal: kept, slot, runDir: workedDirOf(runsDir, task.taskId, task.attempt) };
  }

  /** Reads each slot item once: those who wait for the same key are many. */
  function slotsOnce(): (key: string) => Promise<Slot | undefined> {
    const known = new Map<string, Promise<Slot | undefined>>();
    return (key) => {
      const read = known.get(key) ?? store.get(slotKey(key)).then((stored) => stored?.value as Slot | undefined);
      known.set(key, read);
      return read;
    };
  }

  async function found(idOrPrefix: string): Promise<Task> {
    const whole = await recordOf(idOrPrefix);
    if (whole) return accepted(whole);
    if (idOrPrefix.length < TASK_PREFIX_MIN || !/^t[0-9a-z]*$/.test(idOrPrefix)) {
      throw new BatonError(
        'unknown_task',
        `There is no task "${idOrPrefix}" here; a task id is "t" and 24 more characters; its first ${TASK_PREFIX_MIN} characters or more are enough.`,
      );
    }
    const [first, second] = await store.list(taskKey(idOrPrefix), { limit: 2 });
    if (!first) throw new BatonError('unknown_task', `There is no task "${idOrPrefix}" here.`);
    if (second) throw new BatonError('ambiguous_task', `More than one task id begins with "${idOrPrefix}".`);
    return accepted(answerOf(first.value));
  }

  async function recordOf(taskId: string): Promise<Task | Rejection | undefined> {
    const stored = await store.get(taskKey(taskId));
    return stored && answerOf(stored.value);
  }
}

const NOTHING_NOTED = { duplicates: 0, ignored: [] };

/** Looks again and again, more and more slowly. Throws `not_answered`. */
export async function until<Found>(look: () => Promise<Found | undefined>, what: string): Promise<Found> {
  const endsAtMs = performance.now() + HANDLED_WITHIN_MS;
  for (let pauseMs = LOOK_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, LOOK_MAX_MS)) {
    const answer = await look();
    if (answer !== undefined) return answer;
    if (performance.now() > endsAtMs) {
      throw new BatonError('not_answered', `Nobody has handled ${what} within ${HANDLED_WITHIN_MS / 1_000} seconds.`);
    }
    await sleep(pauseMs);
  }
}

/** Throws `given_up` when the event is among the dead letters since it was put on the bus. */
export async function assertNotGivenUp(
  letters: Letters | undefined,
  event: Envelope,
  what: string,
): Promise<undefined> {
  const letter = await letters?.of(event.id);
  if (!letter || letter.at < event.time) return;
  const { id, rule, error } = letter;
  throw new BatonError('given_up', `The rule ${rule} has given up ${what}: ${error.code}: ${error.message}`, {
    remedy: `${error.remedy} It is kept; deliver it once more with: baton redrive ${id}`,
  });
}

function accepted(answer: Task | Rejection | undefined): Task {
  if (answer === undefined) throw new BatonError('unknown_task', 'The task is not known any more.');
  if (answer.status !== 'REJECTED') return answer;
  const { message } = answer.reason;
  const remedy = remedyAt(blamedIn(message));
  throw new BatonError('rejected', `Task ${answer.taskId} was refused at ${answer.at}: ${message}`, remedy);
}

/** Who only corrects the request is refused again where the configuration of the repository is in the way. */
const remedyAt = (configuration: string | undefined) =>
  configuration === undefined
    ? {}
    : {
        remedy: `See what it says with \`baton repo show "${configuration}"\`, change it with \`baton repo set\`, and send the request under another idempotency key.`,
      };

function assertLives(task: Task): void {
  if (!isTerminal(task)) return;
  throw new BatonError(
    'task_ended',
    `Task ${task.taskId} is ${task.status} since ${task.endedAt}; it cannot be cancelled.`,
  );
}

/** A path counts from where the producer stands, and the world does not know where that is. */
function assertReachable(repository: string): void {
  if (repository.startsWith('/') || repository.includes(':')) return;
  throw new BatonError(
    'bad_input',
    `the request: repository: "${repository}" is neither an absolute path nor an address that git can clone`,
  );
}

/** What a desk puts on the bus. */
export function requestEvent(type: string, data: TaskRequest | object, id: string = randomUUID()): Envelope {
  const time = new Date().toISOString();
  return {
    version: '0',
    id,
    'detail-type': type,
    source: 'baton.request',
    account: '000000000000',
    time,
    region: 'local',
    resources: [],
    // On AWS the bus gives every event an id of its own; this one stays.
    detail: {
      metadata: { id, correlationId: id, causationId: id, occurredAt: time, schemaVersion: 1 },
      data,
    },
  };
}

/** Only the tasks port writes below this key, and nothing else is listed. */
const answerOf = (value: unknown): Task | Rejection => value as Task | Rejection;

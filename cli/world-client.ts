import * as z from 'zod';
import type { ReplayDesk } from '../runtime/endpoint/replay-desk.ts';
import { BatonError } from '../runtime/errors.ts';
import { type Explanation, explanation } from '../schemas/explanation.ts';
import { replayView } from '../schemas/replay.ts';
import { type RepositoryConfig, type RepositoryEntry, repositoryView } from '../schemas/repository-config.ts';
import type { TaskRequest } from '../schemas/task-request.ts';
import { type TaskSummary, type TaskView, taskSummary, taskView } from '../schemas/task-view.ts';
import { type WorkerView, workerView } from '../schemas/worker-view.ts';
import {
  API_PREFIX,
  apiError,
  type ConfiguredView,
  configuredView,
  type DeadLetterView,
  deadLetterView,
  LOG_HEADERS,
  REDRIVEN_AT_ONCE_MAX,
  type Redriven,
  redriven,
  type WorldView,
  worldView,
} from '../schemas/world-api.ts';
import { badInput, codeOf, WorldRefusal } from './cli-error.ts';

/** Longest wait for one answer, in milliseconds: the world answers within its own bounds, which are shorter. */
const ANSWER_TIMEOUT_MS = 60_000;
/** Dead letters that are read, and how many at once. */
const LETTERS_MAX = 1_000;
const LETTERS_PAGE = 100;
/** Errors of a connection that say: nobody is there (any more). */
const GONE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
]);

const heardEvent = z.looseObject({
  id: z.string(),
  'detail-type': z.string(),
  source: z.string(),
  time: z.string(),
  detail: z.looseObject({}),
});

export type HeardEvent = z.infer<typeof heardEvent>;

/** The replay that brought the event; none for what just happened. */
export function replayOf(event: HeardEvent): string | undefined {
  const { metadata } = event.detail as { metadata?: { replayOf?: unknown } };
  const name = event['replay-name'] ?? metadata?.replayOf;
  return typeof name === 'string' ? name : undefined;
}

export interface LogPiece {
  readonly text: Uint8Array;
  /** Byte offset after this piece. */
  readonly next: number;
  /** The run has ended and there is no more. */
  readonly complete: boolean;
}

/** A running world, over its HTTP API. Throws BatonError `no_world` when nobody answers, WorldRefusal when the answer is no. */
export interface WorldClient {
  readonly url: string;
  facts(): Promise<WorldView>;
  /** Asks for a task; the same idempotency key gives the same task. */
  submit(request: TaskRequest): Promise<TaskView>;
  /** Newest first. */
  tasks(): Promise<TaskSummary[]>;
  task(taskId: string): Promise<TaskView>;
  /** Why it stands where it stands. */
  explain(taskId: string): Promise<Explanation>;
  cancel(taskId: string, reason?: string): Promise<TaskView>;
  /** All configurations of repositories, by name. */
  repositories(): Promise<readonly RepositoryEntry[]>;
  /** The configuration of this name, or the one that holds for this address. */
  repository(nameOrAddress: string): Promise<RepositoryEntry>;
  /** Sets the whole configuration of a name, or removes it (`null`). */
  configure(name: string, config: RepositoryConfig | null): Promise<ConfiguredView>;
  /** The workers of all fleets. */
  workers(): Promise<readonly WorkerView[]>;
  /** What was given up, newest first; of one rule where it is named. At most 1,000. */
  deadLetters(rule?: string): Promise<DeadLetterView[]>;
  /** Delivers each once more to the rule that failed; answers what became of each. */
  redrive(letters: readonly Pick<DeadLetterView, 'id' | 'rule'>[]): Promise<Redriven[]>;
  readonly replays: ReplayDesk;
  /** Of the current attempt, or of an earlier one. */
  log(taskId: string, offset: number, attempt?: number): Promise<LogPiece>;
  /** Events as they are published, until the signal or the world ends. */
  events(options: { readonly taskId?: string; readonly signal: AbortSignal }): AsyncIterable<HeardEvent>;
}

export function worldClient(url: string): WorldClient {
  const base = `${url.replace(/\/+$/, '')}${API_PREFIX}`;
  const named = (taskId: string): string => {
    if (taskId.trim() === '')
      throw badInput('<task>', 'it is empty', 'Give a task id, or its beginning: `baton list` shows them.');
    return `/tasks/${encodeURIComponent(taskId)}`;
  };

  return {
    url,
    facts: async () => understood(worldView, await json('/world')),
    submit: async (request) => understood(taskView, await json('/tasks', post(request))),
    tasks: async () => understood(z.array(taskSummary), await json('/tasks')),
    task: async (taskId) => understood(taskView, await json(named(taskId))),
    explain: async (taskId) => understood(explanation, await json(`${named(taskId)}/explanation`)),
    cancel: async (taskId, reason) =>
      understood(taskView, await json(`${named(taskId)}/cancel`, post(reason === undefined ? {} : { reason }))),
    repositories: async () => understood(z.array(repositoryView), await json('/repositories')),
    repository: async (name) => understood(repositoryView, await json(configurationOf(name))),
    configure: async (name, config) =>
      understood(
        configuredView,
        await json(configurationOf(name), config === null ? { method: 'DELETE' } : { ...post(config), method: 'PUT' }),
      ),
    workers: async () => understood(z.array(workerView), await json('/workers')),
    deadLetters,
    redrive,
    replays: {
      start: async (request) => understood(replayView, await json('/replays', post(request))),
      view: async (name) => understood(replayView, await json(replayCalled(name))),
      cancel: async (name) => understood(replayView, await json(`${replayCalled(name)}/cancel`, post({}))),
    },
    log: async (taskId, offset, attempt) => {
      const which = attempt === undefined ? '' : `&attempt=${attempt}`;
      const answer = await ask(`${named(taskId)}/log?offset=${offset}${which}`);
      const text = new Uint8Array(await answer.arrayBuffer());
      return { text, next: offset + text.length, complete: answer.headers.get(LOG_HEADERS.end) === 'true' };
    },
    events: ({ taskId, signal }) => listen(taskId, signal),
  };

  async function deadLetters(rule?: string): Promise<DeadLetterView[]> {
    const found: DeadLetterView[] = [];
    while (found.length < LETTERS_MAX) {
      const before = found.at(-1)?.id;
      const query = new URLSearchParams({
        limit: String(LETTERS_PAGE),
        ...(rule === undefined ? {} : { rule }),
        ...(before === undefined ? {} : { before }),
      });
      const page = understood(z.array(deadLetterView), await json(`/dead-letters?${query}`));
      found.push(...page);
      if (page.length < LETTERS_PAGE) break;
    }
    return found;
  }

  async function redrive(letters: readonly { readonly id: string }[]): Promise<Redriven[]> {
    const told: Redriven[] = [];
    for (let from = 0; from < letters.length; from += REDRIVEN_AT_ONCE_MAX) {
      const ids = letters.slice(from, from + REDRIVEN_AT_ONCE_MAX).map(({ id }) => id);
      told.push(...understood(z.array(redriven), await json('/dead-letters/redrive', post({ ids }))));
    }
    return told;
  }

  async function json(path: string, init: RequestInit = {}): Promise<unknown> {
    const answer = await ask(path, init);
    return answer.json().catch((error: unknown) => {
      throw new BatonError('no_world', `${url} does not answer as a Baton world does`, { cause: error });
    });
  }

  async function ask(path: string, init: RequestInit = {}): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch(`${base}${path}`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS), ...init });
    } catch (error) {
      throw gone(error);
    }
    if (!answer.ok) throw refusalOf(answer.status, await answer.text().catch(() => ''));
    return answer;
  }

  async function* listen(taskId: string | undefined, signal: AbortSignal): AsyncIterable<HeardEvent> {
    const filter = taskId === undefined ? '' : `?task=${encodeURIComponent(taskId)}`;
    const answer = await ask(`/events${filter}`, { signal });
    if (!answer.body) return;
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const bytes of answer.body) {
        text += decoder.decode(bytes, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          const event = eventIn(block);
          if (event) yield event;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      throw gone(error);
    }
  }

  function gone(error: unknown): BatonError {
    const code = codeOf(error);
    const isGone = code !== undefined && GONE.has(code);
    const why = code ?? (error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error));
    const what = isGone ? 'No world answers' : 'The world could not be asked';
    return new BatonError('no_world', `${what} at ${url} (${why})`, { cause: error });
  }

  function refusalOf(status: number, body: string): Error {
    const parsed = apiError.safeParse(jsonIn(body));
    if (parsed.success) {
      const { code, message, remedy } = parsed.data.error;
      return new WorldRefusal(status, code, message, remedy);
    }
    return new BatonError('no_world', `${url} answered ${status}, but not as a Baton world does`);
  }

  function understood<Shape>(schema: z.ZodType<Shape>, answer: unknown): Shape {
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new BatonError('no_world', `${url} does not answer as this version of Baton expects`, {
      remedy: 'See that the world and the command line are of the same version.',
      cause: parsed.error,
    });
  }
}

const post = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

const replayCalled = (name: string): string => `/replays/${encodeURIComponent(name)}`;

const configurationOf = (name: string): string => `/repositories/${encodeURIComponent(name)}`;

/** The event in one block of a server-sent stream; comments and what is not understood are passed over. */
export function eventIn(block: string): HeardEvent | undefined {
  const data = block
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice('data:'.length).trimStart())
    .join('\n');
  return heardEvent.safeParse(jsonIn(data)).data;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

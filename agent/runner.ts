import { rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AgentReport } from '../schemas/agent-report.ts';
import { AGENT_MUST_WAIT, RUNNER_EXIT } from '../schemas/exit-codes.ts';
import { shortText } from '../schemas/json.ts';
import { because } from '../schemas/reason.ts';
import type { RunPayload } from '../schemas/run-payload.ts';
import { USER_FILES_VARIABLE } from '../schemas/task-definition.ts';
import type { SavedWork } from '../schemas/task-result.ts';
import { type AgentFiles, agentEnvironment } from './agent-environment.ts';
import { type AgentEnd, runAgent } from './agent-process.ts';
import type { AgentSecrets } from './agent-secrets.ts';
import { type Changes, type Clone, commitAll, makeClone, pushWithLease, RepositoryError } from './clone.ts';
import { commitMessage } from './commit-message.ts';
import { type ControlPlane, Fenced, type Patience, Refused, type RunIdentity, Unavailable } from './control-plane.ts';
import {
  AGENT_LOG_MAX_BYTES,
  AGENT_LOG_TAIL_BYTES,
  GIT_LOCAL_TIMEOUT_S,
  LAST_LINES,
  PROGRESS_INTERVAL_MS,
  PROGRESS_MAX_BYTES,
  RUNNER_DEADLINE_MARGIN_S,
  RUNNER_EVENT_RETRY_S,
  TIMER_MAX_MS,
} from './limits.ts';
import { masking } from './masking.ts';
import { keptLog, plainText } from './output.ts';
import { givenVariables } from './referred-variables.ts';
import { agentFailure, failedReport, succeededReport, writeReportFile } from './report.ts';
import { retryAfterSeconds } from './retry-after.ts';
import { type RunEvents, runEvents } from './run-events.ts';
import type { StopRequest } from './stop-request.ts';

/** What a run is given by the place where it runs. */
export interface Runner {
  readonly controlPlane: ControlPlane;
  readonly payloadReference: string;
  /** Read after the claim, so that only who works reads them. */
  readonly secrets: AgentSecrets;
  /** Who this run natively is, as its compute's own events name it. */
  readonly nativeId: (patience: Patience) => Promise<string>;
  /** The clone; made anew. Its parent holds the agent's other files and nothing of the clone's. */
  readonly workspace: string;
  readonly promptFile: string;
  readonly contextFile: string;
  readonly retryAfterFile: string;
  readonly reportFile: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stop: StopRequest;
  readonly agentStopGraceMs: number;
  readonly retryMs: Readonly<Record<'claim' | 'secrets' | 'firstWord' | 'confirm' | 'report', number>>;
  /** Only where the back end has no state events. */
  readonly heartbeatMs?: number;
  /** Where the kept log goes. */
  readonly write: (text: string) => void;
}

/** One attempt from claim to report; returns the exit code (RUNNER_EXIT) and never throws. */
export async function run(runner: Runner): Promise<number> {
  const say = (text: string): void => runner.write(`[baton] ${text}\n`);
  try {
    return await attempt(runner, say);
  } catch (error) {
    if (error instanceof Fenced) {
      say(`another run holds this attempt; leaving (${error.message})`);
      return RUNNER_EXIT.fenced;
    }
    if (runner.stop.requested) {
      say(`stopped: ${runner.stop.why}`);
      return RUNNER_EXIT.stopped;
    }
    if (error instanceof Refused) {
      say(`Baton refuses this run: ${error.message}`);
      return RUNNER_EXIT.badPayload;
    }
    if (error instanceof Unavailable) {
      say(error.message);
      return RUNNER_EXIT.unavailable;
    }
    say(`the runner failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    return RUNNER_EXIT.internal;
  }
}

type Say = (text: string) => void;

/** What the steps of one attempt have in common. */
interface Attempt extends Runner {
  readonly payload: RunPayload;
  readonly identity: RunIdentity;
  readonly events: RunEvents;
  /** Aborts with what a heartbeat or the first word was refused with. */
  readonly fence: AbortController;
  readonly say: Say;
  readonly startedAt: string;
  /** Taken out of the agent's output wherever it stands. */
  readonly masked: readonly string[];
}

async function attempt(runner: Runner, say: Say): Promise<number> {
  const startedAt = new Date().toISOString();
  const early = beforeWork(runner.stop, runner.retryMs.claim);
  const payload = await runner.controlPlane.payload(runner.payloadReference, early);
  const identity: RunIdentity = {
    taskId: payload.taskId,
    attempt: payload.attempt,
    nativeId: await runner.nativeId(early),
    runToken: payload.runToken,
  };
  await runner.controlPlane.claim(identity, early);
  const events = runEvents(runner.controlPlane, identity, {
    intervalMs: PROGRESS_INTERVAL_MS,
    patienceMs: () => runner.stop.within(RUNNER_EVENT_RETRY_S * 1_000),
  });
  events.claimed();
  const lastResort = stopAfterDeadline(runner.stop, payload.deadlineAt);
  const claimed: Attempt = {
    ...runner,
    ...{ payload, identity, events, say, startedAt },
    fence: new AbortController(),
    masked: [payload.runToken],
  };
  const beats = beating(claimed);
  try {
    return await withSecrets(claimed);
  } catch (error) {
    if (error instanceof Fenced) await events.fenced();
    throw error;
  } finally {
    clearInterval(beats);
    clearTimeout(lastResort);
    await events.end();
    for (const file of [runner.promptFile, runner.contextFile, runner.retryAfterFile]) {
      await rm(file, { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

/** Has the secrets in the environment from which agent and git are given theirs; of the process itself they are no part. */
async function withSecrets(attempt: Attempt): Promise<number> {
  const secrets = await attempt.secrets(beforeWork(attempt.stop, attempt.retryMs.secrets));
  if ('values' in secrets) {
    const environment = { ...attempt.environment, ...secrets.values };
    return work({ ...attempt, environment, masked: [...attempt.masked, ...Object.values(secrets.values)] });
  }
  if (attempt.stop.requested) {
    attempt.say(`stopped: ${attempt.stop.why}`);
    return RUNNER_EXIT.stopped;
  }
  const told = `No secret is had without the others. Not to be read: ${secrets.unavailable}.`;
  attempt.say(told);
  await deliver(attempt, failedReport(attempt.startedAt, because('secret_unavailable', told), null));
  return RUNNER_EXIT.agentFailed;
}

async function work(attempt: Attempt): Promise<number> {
  const { variables, missing } = givenVariables(attempt.payload.environment, attempt.environment);
  if (missing.length > 0) {
    const told = `Not set where the runner runs: ${missing.join(', ')}.`;
    attempt.say(told);
    await deliver(attempt, failedReport(attempt.startedAt, because('environment_missing', told), null));
    return RUNNER_EXIT.agentFailed;
  }
  let clone: Clone;
  try {
    clone = await makeClone({
      payload: attempt.payload,
      folder: attempt.workspace,
      environment: agentEnvironment(attempt.environment, dirname(attempt.workspace)),
      stop: attempt.stop,
      say: announce(attempt),
    });
  } catch (error) {
    if (!(error instanceof RepositoryError) || attempt.stop.requested) throw error;
    await deliver(attempt, failedReport(attempt.startedAt, because(error.code, error.message), null));
    return RUNNER_EXIT.repositoryFailed;
  }
  if (attempt.stop.requested) return stopped(attempt, clone);
  attempt.fence.signal.throwIfAborted();
  const lastLines: string[] = [];
  const end = await withAgent(attempt, variables, lastLines);
  if (attempt.stop.requested) return stopped(attempt, clone);
  return end.exitCode === 0 ? succeed(attempt, clone) : fail(attempt, clone, end, lastLines);
}

async function withAgent(
  attempt: Attempt,
  variables: Readonly<Record<string, string>>,
  lastLines: string[],
): Promise<AgentEnd> {
  const { payload, events, stop, fence } = attempt;
  const files = await agentFiles(attempt);
  const log = keptLog({
    write: attempt.write,
    maxBytes: AGENT_LOG_MAX_BYTES,
    tailBytes: AGENT_LOG_TAIL_BYTES,
  });
  let hasSpoken = false;
  const spoke = (): void => {
    if (hasSpoken) return;
    hasSpoken = true;
    const patience = budget(stop, attempt.retryMs.firstWord);
    attempt.controlPlane.firstWord(attempt.identity, patience).catch((error) => {
      if (!leftAsFenced(attempt, error)) attempt.say(`the agent's first word was not taken: ${sentenceOf(error)}`);
    });
  };
  attempt.say(`running the agent: ${payload.agentCommand}`);
  try {
    const end = await runAgent({
      command: payload.agentCommand,
      folder: attempt.workspace,
      environment: agentEnvironment(attempt.environment, dirname(attempt.workspace), { files, variables }),
      input: inputOf(payload),
      stop: AbortSignal.any([stop.signal, fence.signal]),
      stopGraceMs: attempt.agentStopGraceMs,
      masking: masking([...attempt.masked, ...Object.values(variables)]),
      onLine: (line) => {
        log.line(line);
        const text = plainText(line, PROGRESS_MAX_BYTES);
        if (text === '') return;
        spoke();
        lastLines.push(text);
        if (lastLines.length > LAST_LINES) lastLines.shift();
        events.progressed(text);
      },
    });
    fence.signal.throwIfAborted();
    return end;
  } finally {
    log.end();
  }
}

/** Writes what the agent gets besides its clone; its word about a wait is its own to write. */
async function agentFiles(attempt: Attempt): Promise<AgentFiles> {
  const { payload, promptFile, contextFile, retryAfterFile, environment } = attempt;
  await writeFile(promptFile, payload.prompt, { mode: 0o600 });
  await rm(retryAfterFile, { recursive: true, force: true });
  if (payload.context) await writeFile(contextFile, payload.context.text, { mode: 0o600 });
  const files = { prompt: promptFile, retryAfter: retryAfterFile, context: payload.context && contextFile };
  return { ...files, user: environment[USER_FILES_VARIABLE] };
}

/** The prompt, and behind it the text that was fetched for the task, under a line that says where from. */
const inputOf = ({ prompt, context }: RunPayload): string =>
  context === undefined ? prompt : `${prompt}\n\nFrom ${context.source}:\n\n${context.text}`;

/**
 * Beats where beats are asked for, from the claim to the end: cloning and pushing are silent too, and no death. Whoever reads the log
 * of a run that was stopped as silent finds there since when its beats went astray; each kind of failure is said once in a row.
 */
function beating(attempt: Attempt): NodeJS.Timeout | undefined {
  const everyMs = attempt.heartbeatMs;
  if (everyMs === undefined) return undefined;
  let failedAs: string | undefined;
  const taken = (): void => {
    if (failedAs !== undefined) attempt.say('signs of life are taken again');
    failedAs = undefined;
  };
  const failed = (error: unknown): void => {
    const kind = error instanceof Error ? error.name : 'error';
    if (leftAsFenced(attempt, error) || kind === failedAs) return;
    failedAs = kind;
    attempt.say(`signs of life are not taken, and a run without them is stopped: ${sentenceOf(error)}`);
  };
  return setInterval(() => {
    const patience = budget(attempt.stop, everyMs);
    attempt.controlPlane.heartbeat(attempt.identity, patience).then(taken, failed);
  }, everyMs);
}

/** What else a beat or a first word fails with says nothing of who holds the attempt. */
function leftAsFenced({ fence }: Attempt, error: unknown): boolean {
  if (!(error instanceof Fenced)) return false;
  fence.abort(error);
  return true;
}

const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function succeed(attempt: Attempt, clone: Clone): Promise<number> {
  let changes: Changes | undefined;
  try {
    changes = await commitAndPush(attempt, clone, '');
  } catch (error) {
    const why = pushFailure(error);
    const report = failedReport(attempt.startedAt, because('push_failed', why), 0, { clone });
    // Without Baton's leave nothing was pushed; the work stays in the workspace, which the message names.
    await deliver(attempt, report);
    return error instanceof Unavailable ? RUNNER_EXIT.unavailable : RUNNER_EXIT.repositoryFailed;
  }
  attempt.say(changes === undefined ? 'the agent changed nothing' : `pushed ${clone.branch} (${changes.commit})`);
  await deliver(attempt, succeededReport(attempt.startedAt, clone, changes));
  // All of it is pushed; what is left are caches and builds.
  await rm(attempt.workspace, { recursive: true, force: true }).catch(() => undefined);
  return RUNNER_EXIT.ok;
}

async function fail(attempt: Attempt, clone: Clone, end: AgentEnd, lastLines: readonly string[]): Promise<number> {
  const mustWait = end.exitCode === AGENT_MUST_WAIT;
  const waitSeconds = mustWait ? await retryAfterSeconds(attempt.retryAfterFile, Date.now()) : undefined;
  const reason = agentFailure(end, attempt.payload.agentCommand, lastLines, waitSeconds);
  attempt.say(reason.message);
  let savedWork: SavedWork | undefined;
  try {
    const changes = await commitAndPush(attempt, clone, 'Unfinished: ');
    savedWork = changes && { branch: clone.branch, commit: changes.commit };
  } catch (error) {
    attempt.say(`the work of the failed agent could not be saved: ${pushFailure(error)}`);
  }
  await deliver(
    attempt,
    failedReport(attempt.startedAt, reason, end.exitCode, { savedWork, retryAfterSeconds: waitSeconds, clone }),
  );
  return RUNNER_EXIT.agentFailed;
}

/** After a stop: pushes what there is and says so, as far as the budget reaches. No report: the stop has its own reason. */
async function stopped(attempt: Attempt, clone: Clone): Promise<number> {
  attempt.say(`stopping: ${attempt.stop.why}`);
  try {
    const changes = await commitAndPush(attempt, clone, 'Unfinished: ');
    if (changes !== undefined) {
      const savedWork = { branch: clone.branch, commit: changes.commit };
      await attempt.controlPlane.saveWork(attempt.identity, savedWork, budget(attempt.stop, attempt.retryMs.report));
      attempt.say(`saved work is on ${savedWork.branch} (${savedWork.commit})`);
    }
  } catch (error) {
    if (error instanceof Fenced) throw error;
    attempt.say(`work could not be saved: ${pushFailure(error)}`);
  }
  return RUNNER_EXIT.stopped;
}

async function commitAndPush(attempt: Attempt, clone: Clone, prefix: string): Promise<Changes | undefined> {
  const message = commitMessage(attempt.payload, prefix);
  const changes = await commitAll(clone, message, attempt.stop.within(GIT_LOCAL_TIMEOUT_S * 1_000));
  if (changes === undefined) return undefined;
  const confirm = (): Promise<void> =>
    attempt.controlPlane.confirm(attempt.identity, budget(attempt.stop, attempt.retryMs.confirm));
  await pushWithLease(clone, changes.commit, confirm, attempt.stop);
  return changes;
}

/** The sentence of a push that did not come about; a fence is not ours to explain. */
function pushFailure(error: unknown): string {
  if (error instanceof RepositoryError) return error.message;
  if (error instanceof Unavailable || error instanceof Refused) return `No leave to push was given. ${error.message}`;
  throw error;
}

/** Writes the report beside the exit record, stores it, and tells that it is there. Throws Fenced, Refused, Unavailable. */
async function deliver(attempt: Attempt, report: AgentReport): Promise<void> {
  await writeReportFile(attempt.reportFile, report);
  await attempt.controlPlane.report(attempt.identity, report, budget(attempt.stop, attempt.retryMs.report));
  await attempt.events.reported();
}

/** Says it in the log and as progress. */
const announce =
  (attempt: Attempt): Say =>
  (text) => {
    attempt.say(text);
    attempt.events.announced(plainText(shortText(text), PROGRESS_MAX_BYTES));
  };

/** Tries until the time is over, or the budget of a stop. */
function budget(stop: StopRequest, ms: number): Patience {
  const endsAtMs = performance.now() + ms;
  return () => stop.within(endsAtMs - performance.now());
}

/** Before the work a stop has nothing to save, so it ends the trying at once. */
function beforeWork(stop: StopRequest, ms: number): Patience {
  const patience = budget(stop, ms);
  return () => (stop.requested ? 0 : patience());
}

/** Counted from now, and never less than the margin, so that a wrong clock on this machine ends no healthy run at once. */
function stopAfterDeadline(stop: StopRequest, deadlineAt: string): NodeJS.Timeout {
  const leftMs = Math.max(0, Date.parse(deadlineAt) - Date.now()) + RUNNER_DEADLINE_MARGIN_S * 1_000;
  return setTimeout(
    () => {
      if (leftMs <= TIMER_MAX_MS) stop.request('the deadline of the task has passed and nobody stopped the run');
    },
    Math.min(leftMs, TIMER_MAX_MS),
  );
}

import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { findAgentCommand } from '../agent/agent-command.ts';
import { embeddedTimings } from '../lifecycle/timings.ts';
import { BatonError } from '../runtime/errors.ts';
import { compute } from '../schemas/compute.ts';
import { entryFor } from '../schemas/repository-config.ts';
import {
  ATTEMPTS_MAX,
  DEFAULT_AGENT_COMMAND,
  PRIORITY_MAX,
  PROMPT_MAX_BYTES,
  type TaskRequest,
  TIMEOUT_MAX_S,
  taskRequest,
} from '../schemas/task-request.ts';
import { badInput, codeOf } from './cli-error.ts';
import { durationText, parseDuration } from './duration.ts';
import { checkRepository } from './repository-check.ts';
import type { WorldClient } from './world-client.ts';

/** What `run` and `submit` take to describe a task. */
export interface TaskOptions {
  readonly repo: string;
  readonly prompt: string;
  readonly base?: string;
  readonly user?: string;
  readonly compute?: string;
  readonly agent?: string;
  readonly timeout?: string;
  readonly priority?: string;
  readonly attempts?: string;
  readonly retryAgentFailure?: true;
  readonly label?: Readonly<Record<string, string>>;
  readonly context?: string;
}

export const withTaskOptions = (command: Command): Command =>
  command
    .requiredOption('--repo <path|url>', 'the git repository to work on')
    .requiredOption('--prompt <text|@file>', 'what the agent shall do; @file reads it from a file')
    .option('--base <branch>', 'the branch to start from (default: the current one)')
    .option('--user <name>', 'for whom it is: whose turn in line, and where users are isolated whose secrets and files')
    .addOption(
      new Option('--compute <name>', 'where to run it (default: what the world runs tasks on)').choices(
        compute.options,
      ),
    )
    .option(
      '--agent <command>',
      `the agent: a shell line that gets the prompt on standard input (default: ${DEFAULT_AGENT_COMMAND})`,
    )
    .option(
      '--timeout <duration>',
      `end it after this time: 90s, 30m, 2h (default: ${embeddedTimings.TIMEOUT_DEFAULT_S / 3600}h)`,
    )
    .option('--priority <number>', `place in line: 0 is usual, higher goes first, up to ${PRIORITY_MAX}`)
    .option('--attempts <number>', `runs that it may have, up to ${ATTEMPTS_MAX}`)
    .option('--retry-agent-failure', 'try again too when the agent itself failed')
    .option('--context <url>', 'a GitHub issue or pull request whose text the agent is given beside the prompt')
    .option('--label <name=value>', 'a label kept with the task; may be given again', withLabel);

/**
 * The request that the options make, checked as far as this machine can tell before anything starts: prompt, repository, base
 * branch, time-out, agent command. Throws `bad_input`.
 */
export function requestFrom(
  options: TaskOptions,
  place: {
    readonly cwd: string;
    readonly environment: Readonly<Record<string, string | undefined>>;
    /** The task will run on another machine: paths and programs of this one say nothing. */
    readonly elsewhere?: boolean;
    /** There is a world whose configuration may name the agent: ask it (`assertAgent`) before the task is sent. */
    readonly worldMayKnow?: boolean;
  },
): TaskRequest {
  const prompt = readPrompt(options.prompt, place.cwd);
  const repository = checkRepository(options.repo, options.base, place.cwd);
  const timeoutSeconds = options.timeout === undefined ? undefined : readTimeout(options.timeout);
  if (place.elsewhere) assertReachable(repository);
  else if (options.agent !== undefined || !place.worldMayKnow) assertInstalled(options.agent, place.environment);
  const checked = taskRequest.safeParse({
    repository,
    prompt,
    ...(options.base === undefined ? {} : { baseBranch: options.base }),
    ...(options.user === undefined ? {} : { userId: options.user }),
    ...(options.compute === undefined ? {} : { compute: options.compute }),
    ...(options.agent === undefined ? {} : { agentCommand: options.agent }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(options.priority === undefined ? {} : { priority: readPriority(options.priority) }),
    ...(options.attempts === undefined ? {} : { attempts: readAttempts(options.attempts) }),
    ...(options.retryAgentFailure === undefined ? {} : { retryAgentFailure: options.retryAgentFailure }),
    ...(options.label === undefined ? {} : { labels: options.label }),
    ...(options.context === undefined ? {} : { context: options.context }),
  });
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const option = OPTION_OF[String(issue?.path[0])] ?? String(issue?.path[0]);
  throw badInput(option, issue?.message ?? 'it is not understood', `Correct ${option} and try again.`);
}

/**
 * Sees that the default agent is on this machine where neither the request nor the configuration of its repository names another.
 * Throws `bad_input`.
 */
export async function assertAgent(
  client: Pick<WorldClient, 'repositories'>,
  { agentCommand, repository }: TaskRequest,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (agentCommand !== undefined) return;
  const entry = entryFor(repository, await client.repositories());
  // Of a configuration that cannot be read nobody knows which agent it names; the world refuses the task and says so.
  if (entry?.unreadable === undefined && entry?.config.agentCommand === undefined)
    assertInstalled(undefined, environment);
}

function assertInstalled(given: string | undefined, environment: Readonly<Record<string, string | undefined>>): void {
  const agent = findAgentCommand(given, environment);
  if (!agent.found) throw badInput('--agent', agent.message, agent.remedy);
}

function assertReachable(repository: string): void {
  if (!repository.startsWith('/')) return;
  throw badInput(
    '--repo',
    `${repository} is on this machine, and the task will run on another`,
    'Give a URL that git can clone.',
  );
}

const OPTION_OF: Readonly<Record<string, string>> = {
  repository: '--repo',
  prompt: '--prompt',
  baseBranch: '--base',
  userId: '--user',
  compute: '--compute',
  agentCommand: '--agent',
  timeoutSeconds: '--timeout',
  priority: '--priority',
  attempts: '--attempts',
  labels: '--label',
  context: '--context',
};

function withLabel(given: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(given) ?? [];
  if (name === undefined || value === undefined) {
    throw badInput('--label', `"${given}" is no label`, 'Write it like --label team=core.');
  }
  return { ...before, [name]: value };
}

function readPrompt(given: string, cwd: string): string {
  const prompt = given.startsWith('@') ? readPromptFile(resolve(cwd, given.slice(1))) : given;
  if (prompt.trim() === '') throw badInput('--prompt', 'it is empty', 'Say what the agent shall do.');
  const bytes = Buffer.byteLength(prompt);
  if (bytes > PROMPT_MAX_BYTES) throw oversized(`it has ${bytes} bytes`);
  return prompt;
}

function readPromptFile(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > PROMPT_MAX_BYTES) throw oversized(`${file} has ${size} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    if (error instanceof BatonError) throw error;
    if (error instanceof TypeError) {
      throw badInput('--prompt', `${file} is not UTF-8 text`, 'Give a text file, or the prompt itself.');
    }
    const code = codeOf(error);
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
    throw badInput('--prompt', `${file} ${why}`, 'Check the name after @, or give the prompt itself.');
  }
}

const oversized = (how: string) =>
  badInput(
    '--prompt',
    `${how}; at most ${PROMPT_MAX_BYTES} (64 KiB) are possible`,
    'Put long material into the repository and point to it in the prompt.',
  );

function readPriority(given: string): number {
  if (/^\d$/.test(given) && Number(given) <= PRIORITY_MAX) return Number(given);
  throw badInput('--priority', `"${given}" is no priority`, `Give a whole number from 0 to ${PRIORITY_MAX}.`);
}

function readAttempts(given: string): number {
  if (/^[1-9]\d?$/.test(given) && Number(given) <= ATTEMPTS_MAX) return Number(given);
  throw badInput('--attempts', `"${given}" is no number of runs`, `Give a whole number from 1 to ${ATTEMPTS_MAX}.`);
}

function readTimeout(given: string): number {
  const seconds = parseDuration(given);
  if (seconds === undefined) {
    throw badInput('--timeout', `"${given}" is not a duration`, 'Write it like 90s, 30m, 2h or 1h30m.');
  }
  if (seconds < 1 || seconds > TIMEOUT_MAX_S) {
    const longest = durationText(TIMEOUT_MAX_S * 1000);
    throw badInput('--timeout', `"${given}" is out of range`, `Give at least 1s and at most 8h (${longest}).`);
  }
  return seconds;
}

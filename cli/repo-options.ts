import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type * as z from 'zod';
import { BatonError } from '../runtime/errors.ts';
import { capacity, compute, isolation } from '../schemas/compute.ts';
import { type RepositoryConfig, repositoryConfig } from '../schemas/repository-config.ts';
import { channel as channels } from '../schemas/subscriber.ts';
import { badInput, codeOf } from './cli-error.ts';
import { durationText, parseDuration } from './duration.ts';
import { userFrom } from './user-terms.ts';

/** Each field of a configuration and its option, which is its name for `--unset` too. */
export const OPTION_OF = {
  compute: 'compute',
  isolation: 'isolation',
  users: 'users',
  capacity: 'capacity',
  fleet: 'fleet',
  agentCommand: 'agent',
  limit: 'limit',
  priority: 'priority',
  timeoutSeconds: 'timeout',
  firstOutputSeconds: 'first-output',
  attempts: 'attempts',
  retryAgentFailure: 'retry-agent-failure',
  environment: 'env',
  subscribers: 'subscribe',
} as const satisfies Record<keyof RepositoryConfig, string>;

/** What names one user for `--unset`. */
const ONE_USER = 'users.';

type Users = NonNullable<RepositoryConfig['users']>;

/** What `repo set` takes to describe a change. */
export interface ConfigOptions {
  readonly compute?: string;
  readonly isolation?: string;
  readonly users?: string;
  readonly user?: Users;
  readonly capacity?: string;
  readonly fleet?: string;
  readonly agent?: string;
  readonly limit?: string;
  readonly priority?: string;
  readonly timeout?: string;
  readonly firstOutput?: string;
  readonly attempts?: string;
  readonly retryAgentFailure?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly subscribe?: readonly { readonly channel: string; readonly target: string }[];
  readonly unset?: readonly string[];
  readonly from?: string;
}

export const withConfigOptions = (command: Command): Command =>
  command
    .addOption(new Option('--compute <name>', 'where its tasks run').choices(compute.options))
    .addOption(new Option('--isolation <how>', 'who shares what a run stands on').choices(isolation.options))
    .option(
      '--user <name=parts>',
      'what one user gets where isolation is per user: size, file system and secrets; "*" is whoever is not named; may be given again',
      withUser,
    )
    .option('--users <file>', 'all users, as JSON, instead of those that are there')
    .addOption(new Option('--capacity <kind>', 'whether runs may use Spot capacity').choices(capacity.options))
    .option('--fleet <name>', 'the fleet, for back ends that have some')
    .option('--agent <command>', 'the agent: a shell line that gets the prompt on standard input')
    .option('--limit <number>', 'tasks at once, whoever asks (default: they count for their user)')
    .option('--priority <number>', 'place in line: 0 is usual, higher goes first, up to 9')
    .option('--timeout <duration>', 'end a task after this time: 90s, 30m, 2h')
    .option('--first-output <duration>', 'a run whose agent has said nothing by then counts as lost')
    .option('--attempts <number>', 'runs that a task may have')
    .option('--retry-agent-failure', 'try again too when the agent itself failed')
    .option('--no-retry-agent-failure', 'do not, as is usual')
    .option(
      '--env <NAME=variable:NAME>',
      'a variable of the agent, and the one of the runner that has its value; may be given again',
      withVariable,
    )
    .option(
      '--subscribe <webhook=url>',
      'who is told how its tasks ended, besides those who are already; may be given again',
      withSubscriber,
    )
    .option(
      '--unset <field>',
      `take a field away: ${Object.values(OPTION_OF).join(', ')}, or one user by ${ONE_USER}<name>; may be given again`,
      (given: string, before: readonly string[] = []) => [...before, fieldNamed(given)],
    )
    .option('--from <file>', 'the whole configuration, as JSON, instead of changes');

/** The name of a configuration: an address or a pattern as it is, a path of this machine made absolute, as tasks name it. */
export function repositoryNameFrom(given: string, place: { cwd: string; elsewhere: boolean }): string {
  if (given.trim() === '')
    throw badInput('<repository>', 'it is empty', 'Give an address, a path, or a pattern such as https://host/team/*.');
  if (place.elsewhere) return given;
  const path = resolve(place.cwd, given);
  if (existsSync(path)) return realpathSync(path);
  return given.startsWith('.') ? path : given;
}

/** The configuration that the options make of the one that holds. Throws `bad_input` with the option that is wrong. */
export function configFrom(options: ConfigOptions, before: RepositoryConfig, cwd: string): RepositoryConfig {
  const { from, ...changes } = options;
  const fields = changed(changes);
  const unset = options.unset ?? [];
  const isChange = Object.keys(fields).length > 0 || options.users !== undefined || unset.length > 0;
  if (from !== undefined) {
    if (isChange) throw badInput('--from', 'it excludes the options of single fields', 'Put them into the file.');
    return checked(readJson('--from', resolve(cwd, from)), (field) => `--from: ${field}`);
  }
  if (!isChange) throw badInput('repo set', 'nothing is to be set', 'Give an option such as --limit 2, or --from.');
  const kept: RepositoryConfig = {
    ...without(before, unset),
    ...(options.users === undefined ? {} : { users: readJson('--users', resolve(cwd, options.users)) as Users }),
  };
  return checked({ ...kept, ...merged(fields, kept) }, (field) =>
    field in OPTION_OF ? `--${OPTION_OF[field as keyof RepositoryConfig]}` : field,
  );
}

function without(config: RepositoryConfig, unset: readonly string[]): RepositoryConfig {
  const { users, ...kept }: RepositoryConfig = Object.fromEntries(
    Object.entries(config).filter(([field]) => !unset.includes(OPTION_OF[field as keyof RepositoryConfig])),
  );
  const gone = unset.filter((one) => one.startsWith(ONE_USER)).map((one) => one.slice(ONE_USER.length));
  // Who takes somebody's secrets away by a misspelt name must hear of it.
  const stranger = gone.find((name) => !Object.hasOwn(config.users ?? {}, name));
  if (stranger !== undefined)
    throw badInput(
      '--unset',
      `the configuration names no user "${stranger}"`,
      '`baton repo show` tells whom it names.',
    );
  if (users === undefined) return kept;
  return { ...kept, users: Object.fromEntries(Object.entries(users).filter(([name]) => !gone.includes(name))) };
}

type Fields = Partial<Record<keyof RepositoryConfig, unknown>>;

function changed(options: ConfigOptions): Fields {
  const fields: Record<keyof RepositoryConfig, unknown> = {
    compute: options.compute,
    isolation: options.isolation,
    users: options.user,
    capacity: options.capacity,
    fleet: options.fleet,
    agentCommand: options.agent,
    limit: numberIn('--limit', options.limit),
    priority: numberIn('--priority', options.priority),
    timeoutSeconds: secondsIn('--timeout', options.timeout),
    firstOutputSeconds: secondsIn('--first-output', options.firstOutput),
    attempts: numberIn('--attempts', options.attempts),
    retryAgentFailure: options.retryAgentFailure,
    environment: options.env,
    subscribers: options.subscribe,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** One user, variable or subscriber more leaves the others. */
function merged({ users, environment, subscribers, ...fields }: Fields, before: RepositoryConfig): Fields {
  const known = before.subscribers ?? [];
  const added = ((subscribers ?? []) as typeof known).filter(
    (one) => !known.some(({ channel, target }) => channel === one.channel && target === one.target),
  );
  return {
    ...fields,
    ...(users === undefined ? {} : { users: { ...before.users, ...users } }),
    ...(environment === undefined ? {} : { environment: { ...before.environment, ...environment } }),
    ...(subscribers === undefined ? {} : { subscribers: [...known, ...added] }),
  };
}

function checked(config: unknown, where: (field: string) => string): RepositoryConfig {
  const parsed = repositoryConfig.safeParse(config);
  if (parsed.success) return parsed.data;
  const [first = 'the configuration: it is not understood', ...more] = parsed.error.issues.map(({ path, ...issue }) => {
    const [field, ...rest] = path.map(String);
    const inside = rest.length > 0 ? `${rest.join('.')}: ` : '';
    return `${where(field ?? 'the configuration')}: ${inside}${complaintOf(field, issue)}`;
  });
  throw new BatonError('bad_input', [first, ...more].join('; '), {
    remedy: '`baton repo set --help` tells what is possible.',
  });
}

/** What is wrong with a field; bounds of times as they are written. */
function complaintOf(field: string | undefined, issue: Pick<z.core.$ZodIssue, 'code' | 'message'>): string {
  // A name that may not be set is told by what is wrong with it.
  if (issue.code === 'invalid_key') return (issue as z.core.$ZodIssueInvalidKey).issues[0]?.message ?? issue.message;
  if (field !== 'timeoutSeconds' && field !== 'firstOutputSeconds') return issue.message;
  const { minimum, maximum } = issue as { minimum?: unknown; maximum?: unknown };
  if (issue.code === 'too_small' && typeof minimum === 'number') return `at least ${durationText(minimum * 1000)}`;
  if (issue.code === 'too_big' && typeof maximum === 'number') return `at most ${durationText(maximum * 1000)}`;
  return issue.message;
}

function readJson(option: '--from' | '--users', file: string): unknown {
  if (!existsSync(file)) {
    const printed = option === '--from' ? '"config"' : '"config"."users"';
    const remedy = `Give a JSON file such as \`baton repo show --json\` prints under ${printed}.`;
    throw badInput(option, `${file} does not exist`, remedy);
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw badInput(option, `${file} cannot be read (${codeOf(error)})`, 'Give a JSON file that you may read.');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw badInput(option, `${file} is not JSON: ${why}`, 'Write one JSON object.');
  }
}

function numberIn(option: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (!/^\d{1,9}$/.test(given)) throw badInput(option, `"${given}" is no whole number`, `Write it like ${option} 2.`);
  return Number(given);
}

function secondsIn(option: string, given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const seconds = parseDuration(given);
  if (seconds === undefined)
    throw badInput(option, `"${given}" is not a duration`, 'Write it like 90s, 30m, 2h or 1h30m.');
  return seconds;
}

function withUser(given: string, before: Users = {}): Users {
  const { userId, terms } = userFrom(given);
  return { ...before, [userId]: terms };
}

function withVariable(given: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name, reference] = /^([^=]+)=(.*)$/s.exec(given) ?? [];
  if (name === undefined || reference === undefined)
    throw badInput('--env', `"${given}" is no reference`, 'Write it like --env NPM_TOKEN=variable:NPM_TOKEN.');
  return { ...before, [name]: reference };
}

function withSubscriber(
  given: string,
  before: readonly { channel: string; target: string }[] = [],
): { channel: string; target: string }[] {
  const [, named, target] = /^([^=]+)=(.+)$/s.exec(given) ?? [];
  const channel = channels.options.find((one) => one === named);
  if (channel === undefined || target === undefined)
    throw badInput(
      '--subscribe',
      `"${given}" does not say how: it begins with none of ${channels.options.map((one) => `${one}=`).join(', ')}`,
      'Write it like --subscribe webhook=https://example.com/hook.',
    );
  return [...before, { channel, target }];
}

function fieldNamed(given: string): string {
  const fields: readonly string[] = Object.values(OPTION_OF);
  if (fields.includes(given) || given.startsWith(ONE_USER)) return given;
  throw badInput('--unset', `"${given}" is no field`, `Give one of ${fields.join(', ')}, or ${ONE_USER}<name>.`);
}

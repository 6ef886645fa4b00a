import { type Compute, offers } from '../schemas/compute.ts';
import {
  type RepositoryConfig,
  type RepositoryEntry,
  slotKeyOfRepository,
  userTermsIn,
} from '../schemas/repository-config.ts';
import type { TaskRequest } from '../schemas/task-request.ts';
import { FLEET_DEFAULT, fleetSlotKey } from '../schemas/worker.ts';
import { ATTEMPTS_DEFAULT } from './timings.ts';

/** Place in line of who asks for none. */
const PRIORITY_DEFAULT = 0;

/** What a deployment has, allows, and takes where nobody says otherwise. */
export interface Deployment {
  /** The back ends, the default one first. */
  readonly computes: readonly Compute[];
  /** Names of its fleets, for back ends with fleets. */
  readonly fleets: readonly string[];
  readonly defaultAgentCommand: string;
  readonly agentCommandAllowed: boolean;
  readonly timings: { readonly TIMEOUT_DEFAULT_S: number };
}

/** A configuration under its name. */
type Configured = Pick<RepositoryEntry, 'name' | 'config' | 'unreadable'>;

/** Under which terms a task is accepted: as its request says, else as its repository is configured, else as the deployment is. */
export function termsOf(request: TaskRequest, entry: Configured | undefined, deployment: Deployment) {
  const config: RepositoryConfig = entry?.config ?? {};
  const { timings, defaultAgentCommand, computes } = deployment;
  const compute = request.compute ?? config.compute ?? computes[0];
  return {
    compute,
    agentCommand: request.agentCommand ?? config.agentCommand ?? defaultAgentCommand,
    timeoutSeconds: request.timeoutSeconds ?? config.timeoutSeconds ?? timings.TIMEOUT_DEFAULT_S,
    attempts: request.attempts ?? config.attempts ?? ATTEMPTS_DEFAULT,
    priority: request.priority ?? config.priority ?? PRIORITY_DEFAULT,
    ...given({
      retryAgentFailure: request.retryAgentFailure ?? config.retryAgentFailure,
      configuration: entry?.name,
      isolation: config.isolation,
      capacity: config.capacity,
      fleet: config.fleet,
      firstOutputSeconds: config.firstOutputSeconds,
      environment: config.environment,
      subscribers: config.subscribers,
      /** Without it the task counts for its user. */
      slotKey: slotKeyFor(compute, entry),
    }),
  };
}

/** A back end of tests stands in no table. */
const hasFleets = (compute: Compute): boolean => offers[compute]?.fleets ?? false;

/** Who needs a worker waits for one, whoever asks; who does not, for those of the same repository, where that has a limit. */
function slotKeyFor(compute: Compute | undefined, entry: Configured | undefined): string | undefined {
  if (compute !== undefined && hasFleets(compute)) return fleetSlotKey(entry?.config.fleet ?? FLEET_DEFAULT);
  return entry?.config.limit === undefined ? undefined : slotKeyOfRepository(entry.name);
}

/** For whom a request counts. */
interface Asker {
  readonly userId: string;
  /** Who asks under a source of its own; such a requester asks for itself, and goes before nobody. */
  readonly requester: string | undefined;
}

/** Why a request cannot be accepted under these terms, in one sentence that names the field; undefined when it can. */
export function refusalOf(
  request: TaskRequest,
  entry: Configured | undefined,
  deployment: Deployment,
  { requester, userId }: Asker,
): string | undefined {
  return (
    (requester === undefined ? undefined : notYours(requester, request, entry)) ??
    notAllowed(request, deployment) ??
    notUnderstood(entry) ??
    notOffered(termsOf(request, entry, deployment), entry, deployment) ??
    notForUser(userId, entry)
  );
}

/** What of a configuration a deployment does not have, in one sentence: tasks under it are refused. */
export const unmetOf = (entry: Configured, deployment: Deployment): string | undefined =>
  deployment.computes.length === 0 ? NO_BACK_END : notOffered(termsOf(NO_WISHES, entry, deployment), entry, deployment);

/** The name of the configuration that a refusal in the words of this file blames; undefined where the request itself is refused. */
export const blamedIn = (refusal: string): string | undefined =>
  /(?:^|[( ])the configuration "([^"]+)" /.exec(refusal)?.[1];

/** Stands for a request that names nothing by itself. */
const NO_WISHES: TaskRequest = { repository: '', prompt: '' };
const NO_BACK_END = 'compute: this deployment has no back end yet; deploy one and ask again';

function notYours(
  requester: string,
  { userId, priority = PRIORITY_DEFAULT }: TaskRequest,
  entry: Configured | undefined,
): string | undefined {
  if (userId !== undefined && userId !== requester) {
    return `userId: "${requester}" asks under a source of its own and cannot ask for "${userId}"`;
  }
  const most = entry?.config.priority ?? PRIORITY_DEFAULT;
  if (priority <= most) return undefined;
  return `priority: "${requester}" asks under a source of its own and gets ${most} at the most`;
}

function notAllowed(request: TaskRequest, { agentCommandAllowed, computes }: Deployment): string | undefined {
  if (request.agentCommand !== undefined && !agentCommandAllowed) {
    return 'agentCommand: this deployment takes the agent command from its configuration, not from a request';
  }
  return computes.length === 0 ? NO_BACK_END : undefined;
}

/** What another version of Baton configured may say anything: its tasks do not run as if it said nothing. */
const notUnderstood = (entry: Configured | undefined): string | undefined =>
  entry?.unreadable === undefined
    ? undefined
    : `the configuration "${entry.name}" holds for this repository, and this version of Baton cannot read it: ${entry.unreadable}; set it again, or remove it`;

function notOffered(
  { compute, isolation, capacity, fleet }: ReturnType<typeof termsOf>,
  entry: Configured | undefined,
  { computes, fleets }: Deployment,
): string | undefined {
  if (compute === undefined) return undefined;
  const configured = entry ? ` (the configuration "${entry.name}" says so)` : '';
  if (!computes.includes(compute)) {
    const from = entry?.config.compute === compute ? configured : '';
    return `compute: this deployment has no "${compute}"${from}; it has ${computes.join(', ')}`;
  }
  if (isolation !== undefined && !offers[compute].isolations.includes(isolation)) {
    return `isolation: "${compute}" offers ${offers[compute].isolations.join(', ')}, not "${isolation}"${configured}`;
  }
  if (capacity !== undefined && !offers[compute].capacities.includes(capacity)) {
    return `capacity: "${compute}" offers ${offers[compute].capacities.join(', ')}, not "${capacity}"${configured}`;
  }
  // One key per task: a task that waits for a worker cannot wait for its repository as well.
  if (entry?.config.limit !== undefined && hasFleets(compute)) {
    return `limit: tasks on "${compute}" wait for the workers of their fleet, and for no other limit${configured}`;
  }
  if (!hasFleets(compute)) {
    return fleet === undefined
      ? undefined
      : `fleet: "${compute}" has no fleets, and so none named "${fleet}"${configured}`;
  }
  const { meant, from } = fleet === undefined ? { meant: FLEET_DEFAULT, from: '' } : { meant: fleet, from: configured };
  return fleets.includes(meant)
    ? undefined
    : `fleet: this deployment has no fleet "${meant}"${from}; it has ${fleets.join(', ') || 'none'}`;
}

/** Who isolates per user says what each user gets, so that nobody runs with less, or more, than was meant. */
const notForUser = (userId: string, entry: Configured | undefined): string | undefined =>
  entry?.config.isolation === 'per-user' && userTermsIn(entry.config, userId) === undefined
    ? `userId: the configuration "${entry.name}" isolates users, and says nothing of "${userId}"; name them under "users", or everybody by "*"`
    : undefined;

type Given<Fields> = { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };

/** The fields that have a value. */
export const given = <Fields extends object>(fields: Fields): Given<Fields> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<Fields>;

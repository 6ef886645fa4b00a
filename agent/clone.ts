import { copyFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReasonCode } from '../schemas/reason.ts';
import type { RunPayload } from '../schemas/run-payload.ts';
import type { SavedWork } from '../schemas/task-result.ts';
import { type CloneSettings, readSettings, restoreSettings } from './clone-settings.ts';
import { type GitEnd, type GitOptions, git, saidBy } from './git.ts';
import {
  GIT_CLONE_TIMEOUT_S,
  GIT_LOCAL_TIMEOUT_S,
  GIT_LOOK_TIMEOUT_S,
  GIT_NETWORK_TRIES,
  GIT_PUSH_TIMEOUT_S,
  GIT_RETRY_PAUSE_MS,
} from './limits.ts';
import { parseRepository, type Repository, withoutCredentials } from './repository.ts';
import type { StopRequest } from './stop-request.ts';

/** The repository does not let the run go on; `code` and message become the reason of the report. */
export class RepositoryError extends Error {
  override readonly name = 'RepositoryError';
  readonly code: ReasonCode;
  constructor(code: ReasonCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** A clone on the task's branch, and what the remote looked like when the run claimed the task. */
export interface Clone {
  readonly folder: string;
  readonly repository: Repository;
  readonly branch: string;
  /** Where the base branch and this work part. */
  readonly baseCommit: string;
  /** Head of the task's branch on the remote at claim: what the lease of every push names. */
  readonly remoteHead: string | undefined;
  /** True when it goes on from what an earlier attempt pushed. */
  readonly continued: boolean;
  /** What it was to go on from and was not there any more. */
  readonly lostWork?: SavedWork;
  /** As they were before the agent came. */
  readonly settings: CloneSettings;
  readonly environment: Readonly<Record<string, string>>;
}

export interface Changes {
  readonly commit: string;
  readonly filesChanged: number;
  readonly insertions: number;
  readonly deletions: number;
}

/** Clones the payload's repository into `folder`. Throws RepositoryError: clone_failed, base_branch_missing. */
export async function makeClone(options: {
  readonly payload: RunPayload;
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly stop: StopRequest;
  readonly say: (text: string) => void;
}): Promise<Clone> {
  const { payload, folder, environment, stop, say } = options;
  const repository = parseRepository(payload.repository);
  const shown = withoutCredentials(payload.repository);
  if ('refused' in repository) {
    throw new RepositoryError('clone_failed', `The repository "${shown}" is refused: ${repository.refused}.`);
  }
  const ref = `refs/heads/${payload.branch}`;
  const wanted = payload.baseBranch === undefined ? 'HEAD' : `refs/heads/${payload.baseBranch}`;
  const inTime = { stop: stop.signal };
  const look = await withTries(repository, stop, () =>
    listRemote(repository, [wanted, ref], environment, GIT_LOOK_TIMEOUT_S * 1_000, inTime),
  );
  if (look.exitCode !== 0) throw new RepositoryError('clone_failed', `Cloning ${shown} failed: ${saidBy(look)}`);
  const heads = headsIn(look.stdout);
  if (!heads.has(wanted)) {
    const any = await listRemote(repository, [], environment, GIT_LOOK_TIMEOUT_S * 1_000, inTime);
    throw headsIn(any.stdout).size === 0
      ? new RepositoryError('clone_failed', `The repository ${shown} has no commits.`)
      : new RepositoryError('base_branch_missing', missingBase(shown, payload.baseBranch));
  }
  say(`cloning ${shown}`);
  // No hard links: an agent that writes into its clone's object files must not reach the original's.
  const cloning = await withTries(repository, stop, async () => {
    await rm(folder, { recursive: true, force: true });
    return git(
      ['clone', '--quiet', '--no-checkout', '--no-hardlinks', '--origin=origin', '--', repository.address, folder],
      {
        environment,
        timeoutMs: GIT_CLONE_TIMEOUT_S * 1_000,
        stop: stop.signal,
      },
    );
  });
  if (cloning.exitCode !== 0) {
    throw new RepositoryError('clone_failed', `Cloning ${shown} failed: ${saidBy(cloning)}`);
  }
  const base = payload.baseBranch === undefined ? 'HEAD' : `refs/remotes/origin/${payload.baseBranch}`;
  const inClone = { clone: folder, environment, timeoutMs: GIT_LOCAL_TIMEOUT_S * 1_000, stop: stop.signal };
  const baseHead = await commitOf(base, inClone);
  if (baseHead === undefined)
    throw new RepositoryError('clone_failed', `The clone of ${shown} has no commit at ${base}.`);
  const { saved, lostWork } = await savedCommit(payload, inClone, say);
  const checkout = await git(
    ['checkout', '--quiet', '--no-track', '-B', payload.branch, saved ?? baseHead, '--'],
    inClone,
  );
  if (checkout.exitCode !== 0) {
    throw new RepositoryError('clone_failed', `Checking out ${shown} failed: ${saidBy(checkout)}`);
  }
  await nameAuthor(inClone);
  return {
    folder,
    repository,
    branch: payload.branch,
    baseCommit: saved === undefined ? baseHead : await partingPoint(baseHead, saved, inClone),
    remoteHead: heads.get(ref),
    continued: saved !== undefined,
    ...(lostWork ? { lostWork } : {}),
    settings: await readSettings(folder),
    environment,
  };
}

/**
 * Commits everything that is not ignored onto whatever the agent left checked out, and tells how it differs from the base;
 * undefined when it does not. The agent's own commits stay. Throws RepositoryError: push_failed.
 */
export async function commitAll(clone: Clone, message: string, timeoutMs: number): Promise<Changes | undefined> {
  const inClone = { clone: clone.folder, environment: clone.environment, timeoutMs };
  await removeStaleLocks(clone);
  const inOwn = (args: readonly string[], input?: string): Promise<GitEnd> =>
    gitAsCloned(clone, args, input === undefined ? inClone : { ...inClone, input });
  const add = await inOwn(['add', '--all', '--', '.']);
  if (add.exitCode !== 0) throw new RepositoryError('push_failed', `The changes could not be added: ${saidBy(add)}`);
  const staged = await inOwn(['diff', '--cached', '--quiet', '--no-ext-diff']);
  if (staged.exitCode !== 0) {
    const commit = await inOwn(['commit', '--quiet', '--no-verify', '--file=-'], message);
    if (commit.exitCode !== 0)
      throw new RepositoryError('push_failed', `The changes could not be committed: ${saidBy(commit)}`);
  }
  const head = await commitOf('HEAD', inClone, inOwn);
  if (head === undefined) throw new RepositoryError('push_failed', 'The clone has no commit any more.');
  if (head === clone.baseCommit) return undefined;
  const shortStat = ['diff', '--shortstat', '--no-ext-diff', '--no-textconv', clone.baseCommit, head, '--'];
  const difference = await inOwn(shortStat);
  return { commit: head, ...countsIn(difference.stdout) };
}

/**
 * Pushes a commit to the task's branch under the lease recorded at claim, never by blind force, and looks whether it is there.
 * Both go out from a repository that the agent never saw, so that no setting of the clone redirects them; what it changed in
 * the settings of its user (`~/.gitconfig`, `~/.ssh`) does count, since it has the same user. `confirm` is asked immediately
 * before each try. Throws RepositoryError push_failed, and what `confirm` throws.
 */
export async function pushWithLease(
  clone: Clone,
  commit: string,
  confirm: () => Promise<void>,
  stop: StopRequest,
): Promise<void> {
  const ref = `refs/heads/${clone.branch}`;
  const gitDir = join(dirname(clone.folder), PUSH_DIRECTORY);
  const { environment } = clone;
  try {
    await makePushRepository(clone, commit, gitDir, stop);
    const push = await withTries(clone.repository, stop, async () => {
      await confirm();
      return git(
        [
          'push',
          '--porcelain',
          '--no-verify',
          '--no-follow-tags',
          '--no-recurse-submodules',
          `--force-with-lease=${ref}:${clone.remoteHead ?? ''}`,
          '--',
          clone.repository.address,
          `${commit}:${ref}`,
        ],
        {
          gitDir,
          environment: {
            ...environment,
            GIT_ALTERNATE_OBJECT_DIRECTORIES: quoted(join(clone.folder, '.git', 'objects')),
          },
          timeoutMs: stop.within(GIT_PUSH_TIMEOUT_S * 1_000),
        },
      );
    });
    // Also after a failure: the answer to an earlier try may have been lost after the remote had taken it.
    const look = await withTries(clone.repository, stop, () =>
      listRemote(clone.repository, [ref], environment, stop.within(GIT_LOOK_TIMEOUT_S * 1_000), { gitDir }),
    );
    const head = headsIn(look.stdout).get(ref);
    if (head === commit) return;
    throw new RepositoryError('push_failed', whyNotThere(clone, push, look, head));
  } finally {
    await rm(gitDir, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Beside the clone; there only during a push. */
const PUSH_DIRECTORY = 'push.git';

/** An empty repository with no settings but git's own for this user; the clone's objects are lent to it. */
async function makePushRepository(clone: Clone, commit: string, gitDir: string, stop: StopRequest): Promise<void> {
  await rm(gitDir, { recursive: true, force: true });
  const format = commit.length === SHA256_DIGITS ? ['--object-format=sha256'] : [];
  const made = await git(['init', '--quiet', '--bare', '--template=', ...format, '--', gitDir], {
    environment: clone.environment,
    timeoutMs: stop.within(GIT_LOCAL_TIMEOUT_S * 1_000),
  });
  if (made.exitCode !== 0) throw new RepositoryError('push_failed', `The push could not be prepared: ${saidBy(made)}`);
  // Where the history ends if the repository does not have all of it: names of commits and nothing else.
  await copyFile(join(clone.folder, '.git', 'shallow'), join(gitDir, 'shallow')).catch(() => undefined);
}

/** As git reads a path in a list that is separated by colons. */
const quoted = (path: string): string => `"${path.replace(/["\\]/g, '\\$&')}"`;

/** Hexadecimal digits of a commit in a repository with SHA-256 names. */
const SHA256_DIGITS = 64;

function whyNotThere(clone: Clone, push: GitEnd, look: GitEnd, head: string | undefined): string {
  const found = `expected ${clone.remoteHead ?? 'no such branch'}, found ${head ?? 'no such branch'}`;
  if (push.exitCode === 0 && look.exitCode !== 0)
    return `Pushing ${clone.branch} ended well, but the remote could not be asked whether it is there: ${saidBy(look)}`;
  if (push.exitCode === 0)
    return `Pushing ${clone.branch} ended well, but the remote does not have it: found ${head ?? 'no such branch'}.`;
  if (look.exitCode === 0 && head !== clone.remoteHead)
    return `Somebody else moved ${clone.branch} during the run: ${found}. Nothing was overwritten.`;
  return `Pushing ${clone.branch} failed: ${saidBy(push)}`;
}

/** Git in the clone with the settings that it was made with. Throws RepositoryError push_failed if there is no clone any more. */
async function gitAsCloned(clone: Clone, args: readonly string[], options: GitOptions): Promise<GitEnd> {
  let isClone: boolean;
  try {
    isClone = await restoreSettings(clone.folder, clone.settings);
  } catch (error) {
    throw new RepositoryError('push_failed', `The settings of the clone could not be restored: ${String(error)}`);
  }
  if (!isClone) throw new RepositoryError('push_failed', 'The clone has no .git directory any more.');
  return git(args, options);
}

const missingBase = (shown: string, baseBranch: string | undefined): string =>
  baseBranch === undefined
    ? `The repository ${shown} names a default branch that does not exist; name the base branch.`
    : `The repository ${shown} has no branch "${baseBranch}".`;

const listRemote = (
  repository: Repository,
  patterns: readonly string[],
  environment: Readonly<Record<string, string>>,
  timeoutMs: number,
  options: Pick<GitOptions, 'stop' | 'gitDir'>,
): Promise<GitEnd> =>
  git(['ls-remote', '--quiet', '--', repository.address, ...patterns], { environment, timeoutMs, ...options });

const headsIn = (listing: string): Map<string, string> =>
  new Map(
    listing
      .split('\n')
      .map((line) => /^([0-9a-f]{40,64})\t(\S+)$/.exec(line))
      .flatMap((match) => (match?.[1] && match[2] ? [[match[2], match[1]] as const] : [])),
  );

/**
 * Where to go on from what earlier attempts left. What the branch holds now is never overwritten, whoever put it there: the work goes on
 * top of it. Without a branch it goes on from the saved commit, fetched by its name if need be; and where that is gone, from the base,
 * which overwrites nothing. Saved work that is in none of it is told as lost.
 */
async function savedCommit(
  payload: RunPayload,
  inClone: GitOptions,
  say: (text: string) => void,
): Promise<{ readonly saved?: string; readonly lostWork?: SavedWork }> {
  const { savedWork, branch, attempt } = payload;
  // A later attempt also finds what was pushed by one that died before it could say so.
  if (savedWork === undefined && attempt === 1) return {};
  const head = await commitOf(`refs/remotes/origin/${branch}`, inClone);
  if (savedWork === undefined) {
    if (head !== undefined) say(`continuing from saved work of an earlier attempt (${head})`);
    return head === undefined ? {} : { saved: head };
  }
  if (head !== undefined) {
    if (await contains(head, savedWork.commit, inClone)) {
      say(`continuing from saved work of an earlier attempt (${head})`);
      return { saved: head };
    }
    say(
      `the branch no longer holds the saved work of an earlier attempt (${savedWork.commit}); continuing from ${head}`,
    );
    return { saved: head, lostWork: savedWork };
  }
  const saved = await fetchedCommit(savedWork.commit, inClone);
  if (saved === undefined) {
    say(`the saved work of an earlier attempt (${savedWork.commit}) was not found; starting from the base`);
    return { lostWork: savedWork };
  }
  say(`continuing from saved work of an earlier attempt (${saved}); its branch is gone`);
  return { saved };
}

const contains = async (head: string, commit: string, inClone: GitOptions): Promise<boolean> =>
  (await git(['merge-base', '--is-ancestor', commit, head], inClone)).exitCode === 0;

/** A commit that no branch holds any more; many servers still give it to who names it. */
async function fetchedCommit(commit: string, inClone: GitOptions): Promise<string | undefined> {
  const known = await commitOf(commit, inClone);
  if (known !== undefined || !/^[0-9a-f]{40,64}$/.test(commit)) return known;
  await git(['fetch', '--quiet', '--no-tags', '--', 'origin', commit], inClone);
  return commitOf(commit, inClone);
}

async function commitOf(
  name: string,
  inClone: GitOptions,
  run: (args: readonly string[]) => Promise<GitEnd> = (args) => git(args, inClone),
): Promise<string | undefined> {
  const end = await run(['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`]);
  return end.exitCode === 0 ? end.stdout.trim() : undefined;
}

async function partingPoint(base: string, saved: string, inClone: GitOptions): Promise<string> {
  const end = await git(['merge-base', base, saved], inClone);
  return end.exitCode === 0 ? end.stdout.trim() : base;
}

/** Gives the clone an author unless the machine has one, for the agent's commits as for Baton's. */
async function nameAuthor(inClone: GitOptions): Promise<void> {
  for (const [key, value] of [
    ['user.name', 'Baton'],
    ['user.email', 'baton@localhost'],
  ] as const) {
    const known = await git(['config', '--get', key], inClone);
    if (known.exitCode !== 0) await git(['config', key, value], inClone);
  }
}

/** Locks of git commands that died with the agent; nobody is left who could hold them. */
async function removeStaleLocks(clone: Clone): Promise<void> {
  for (const lock of ['index.lock', 'HEAD.lock', `refs/heads/${clone.branch}.lock`]) {
    await rm(join(clone.folder, '.git', lock), { force: true }).catch(() => undefined);
  }
}

function countsIn(shortStat: string): Omit<Changes, 'commit'> {
  const count = (word: RegExp): number => Number(word.exec(shortStat)?.[1] ?? 0);
  return {
    filesChanged: count(/(\d+) files? changed/),
    insertions: count(/(\d+) insertions?\(/),
    deletions: count(/(\d+) deletions?\(/),
  };
}

/** Tries a network command again when it failed for a reason that may pass; what a repository refused is final. */
async function withTries(repository: Repository, stop: StopRequest, attempt: () => Promise<GitEnd>): Promise<GitEnd> {
  for (let tries = 1; ; tries += 1) {
    const end = await attempt();
    const mayPass = repository.kind === 'network' && end.exitCode !== 0 && !isFinal(end);
    if (!mayPass || tries === GIT_NETWORK_TRIES || stop.requested) return end;
    await sleep(GIT_RETRY_PAUSE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

const isFinal = (end: GitEnd): boolean =>
  /not found|denied|does not appear to be|authentication failed|could not read username|rejected|invalid/i.test(
    end.stderr + end.stdout,
  );

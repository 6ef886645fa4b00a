import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { badInput } from './cli-error.ts';

/** Longest answer of a local git, in milliseconds: these questions read a few files. */
const GIT_TIMEOUT_MS = 20_000;

/**
 * The repository as a task names it: a URL as it is (the clone will judge it), a path made absolute. Throws `bad_input` for
 * a path that is missing, is no git repository, or has no commit to start from.
 */
export function checkRepository(given: string, base: string | undefined, cwd: string): string {
  if (given.trim() === '') throw badInput('--repo', 'it is empty', 'Give a path or a URL that git can clone.');
  if (!existsSync(resolve(cwd, given))) {
    if (isRemote(given)) return given;
    throw badInput(
      '--repo',
      `${resolve(cwd, given)} does not exist`,
      'Give the path of a git repository, or a URL that git can clone.',
    );
  }
  const path = realpathSync(resolve(cwd, given));
  if (!statSync(path).isDirectory()) {
    throw badInput('--repo', `${path} is not a directory`, 'Give the directory of a git repository.');
  }
  checkRoot(path);
  checkCommits(path, base);
  return path;
}

/** A URL, or git's short form `host:path`. */
const isRemote = (given: string): boolean =>
  /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(given) || /^([^/@:\s]+@)?[^/:\s]+:\S/.test(given);

function checkRoot(path: string): void {
  const inside = git(path, 'rev-parse', '--is-bare-repository', '--git-dir');
  if (!inside.ok) {
    throw /dubious ownership/.test(inside.said)
      ? badInput(
          '--repo',
          `git does not trust ${path}, which belongs to another user`,
          `Run: git config --global --add safe.directory '${path}'`,
        )
      : badInput('--repo', `${path} is not a git repository`, 'Make it one with `git init` and a first commit.');
  }
  const [bare = '', gitDir = ''] = inside.said.split('\n');
  const toplevel = git(path, 'rev-parse', '--show-toplevel');
  const root = bare === 'true' ? resolve(path, gitDir) : toplevel.ok ? toplevel.said : dirname(resolve(path, gitDir));
  if (realpathSync(root) !== path) {
    throw badInput('--repo', `${path} is a folder inside the repository ${root}`, `Give --repo '${root}'.`);
  }
}

function checkCommits(path: string, base: string | undefined): void {
  if (git(path, 'rev-list', '-n', '1', '--all').said === '') {
    throw badInput('--repo', `${path} has no commits`, 'Commit something first: an agent works on top of a commit.');
  }
  if (base === undefined) {
    if (git(path, 'rev-parse', '--verify', '--quiet', 'HEAD^{commit}').ok) return;
    const head = git(path, 'symbolic-ref', '--short', 'HEAD').said;
    throw badInput(
      '--repo',
      `the current branch "${head}" of ${path} has no commits`,
      'Name another branch with --base.',
    );
  }
  if (!git(path, 'rev-parse', '--verify', '--quiet', `refs/heads/${base}^{commit}`).ok) {
    const branches = git(path, 'for-each-ref', '--count=8', '--format=%(refname:short)', 'refs/heads').said;
    throw badInput(
      '--base',
      `${path} has no branch "${base}"`,
      `Name one that it has, such as ${branches.split('\n').join(', ')}.`,
    );
  }
}

function git(path: string, ...words: string[]): { ok: boolean; said: string } {
  const answer = spawnSync('git', ['-C', path, ...words], {
    encoding: 'utf8',
    timeout: GIT_TIMEOUT_MS,
    env: withoutGit(process.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (answer.error) {
    throw badInput('git', `git could not be run (${answer.error.message})`, 'Install git and see that it is on PATH.');
  }
  return { ok: answer.status === 0, said: (answer.status === 0 ? answer.stdout : answer.stderr).trim() };
}

/** Variables that point git at some other repository say nothing about this one. */
function withoutGit(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const misleading = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_OBJECT_DIRECTORY', 'GIT_COMMON_DIR'];
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !misleading.includes(name)));
}

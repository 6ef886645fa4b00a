import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A bare git repository with a small project in it, as an agent would find it on a server. */
export interface SampleRepository {
  readonly path: string;
  /** Commit of a branch, or undefined. */
  head(branch: string): string | undefined;
}

export function makeSampleRepository(folder: string): SampleRepository {
  const path = join(folder, 'sample.git');
  const project = join(folder, 'sample');
  mkdirSync(project, { recursive: true });
  git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', path);
  git(project, 'init', '--quiet', '--initial-branch=main');
  for (const [file, text] of Object.entries(FILES)) writeFileSync(join(project, file), text);
  git(project, 'add', '--all');
  git(project, 'commit', '--quiet', '--message=A small project');
  git(project, 'push', '--quiet', path, 'main');
  return {
    path,
    head: (branch) => git(path, 'for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`) || undefined,
  };
}

const FILES = {
  'README.md': '# Sample\n\nA project for agents to practise on.\n',
  'greet.sh': '#!/bin/sh\necho "Hello, $1"\n',
};

/** Independent of how git is set up on this machine. */
function git(folder: string, ...words: string[]): string {
  const identity = ['-c', 'user.name=Baton demo', '-c', 'user.email=demo@baton.invalid', '-c', 'commit.gpgsign=false'];
  const text = execFileSync('git', [...identity, ...words], { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
  return text.trim();
}

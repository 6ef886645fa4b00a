import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StoreError } from '../runtime/errors.ts';
import { codeOf } from './cli-error.ts';

/** Makes the data directory where it is missing, ignored by git: it may lie in a repository. Throws `store_unwritable`. */
export function prepareDataDir(dataDir: string): string {
  try {
    if (existsSync(dataDir) && !statSync(dataDir).isDirectory()) {
      throw new StoreError('store_unwritable', `${dataDir} is not a directory`, {
        remedy: 'Choose another data directory with --data.',
      });
    }
    makeFolder(dataDir);
    const ignore = join(dataDir, '.gitignore');
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
    return dataDir;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError('store_unwritable', `${dataDir} cannot be written (${codeOf(error)})`, { cause: error });
  }
}

/** Makes a folder and those above it. Not with `recursive`, which never returns where a folder can hold none, as below `/proc`. */
function makeFolder(path: string, mayLackParent = true): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || !mayLackParent) throw error;
    makeFolder(dirname(path));
    makeFolder(path, false);
  }
}

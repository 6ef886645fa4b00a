import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const ignore = join(dataDir, '.gitignore');
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
    return dataDir;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError('store_unwritable', `${dataDir} cannot be written (${codeOf(error)})`, { cause: error });
  }
}

import { readFileSync } from 'node:fs';

/**
 * The words of a file that another process writes, once there are any: a shell opens `> file` before it writes, so an
 * empty file is one whose words are still to come. Undefined until then.
 */
export function written(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8') || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

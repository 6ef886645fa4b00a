import { lstat, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from './supervisor-files.ts';

/** Files in `.git` that decide which programs git runs, where it pushes to, or where it looks for such settings. */
const DECIDING = ['config', 'config.worktree', 'commondir', 'info/attributes'] as const;

/** What these files held when the clone was made; undefined for one that was not there. */
export type CloneSettings = ReadonlyMap<string, Buffer | undefined>;

export async function readSettings(clone: string): Promise<CloneSettings> {
  const contents = DECIDING.map(async (name) => [name, await readIfThere(join(clone, '.git', name))] as const);
  return new Map(await Promise.all(contents));
}

/**
 * Puts the settings back to what they were, whatever the agent made of them, so that git runs no program and follows no address of
 * the agent's. False if the clone has no `.git` directory of its own any more. Throws what the file system says.
 */
export async function restoreSettings(clone: string, settings: CloneSettings): Promise<boolean> {
  const own = await lstat(join(clone, '.git')).catch(() => undefined);
  if (!own?.isDirectory()) return false;
  for (const [name, content] of settings) {
    const file = join(clone, '.git', name);
    if (content !== undefined && (await isPlainFile(file)) && content.equals(await readFile(file))) continue;
    // Removed first: written through a link, it would be another file.
    await rm(file, { recursive: true, force: true });
    if (content !== undefined) await writeFile(file, content, { flag: 'wx' });
  }
  return true;
}

const isPlainFile = async (file: string): Promise<boolean> =>
  (await lstat(file).catch(() => undefined))?.isFile() ?? false;

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}

import { closeSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes JSON so that a reader, even after a power cut, sees all of it or none. Throws what the file system says. */
export function writeWhole(file: string, value: unknown): void {
  const draft = writeDraft(file, value);
  renameSync(draft, file);
  syncDirectory(dirname(file));
}

/** Like `writeWhole`, but only if there is no such file yet. True for the one who made it, whoever else tries. */
export function createWhole(file: string, value: unknown): boolean {
  const draft = writeDraft(file, value);
  try {
    linkSync(draft, file);
    syncDirectory(dirname(file));
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** What the file holds, unchecked; undefined when it is not there or not JSON (which `writeWhole` never leaves behind). */
export function readWhole(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** By shape, not by class: Node's own errors may come from another realm (as in a test runner). */
export function isErrno(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}

function writeDraft(file: string, value: unknown): string {
  const draft = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
  const descriptor = openSync(draft, 'wx', 0o600);
  try {
    writeSync(descriptor, `${JSON.stringify(value)}\n`);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
  return draft;
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } catch {
    // Some file systems do not sync directories; the rename is then as durable as they make it.
  } finally {
    closeSync(descriptor);
  }
}

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** A fenced block of the README; `file` is the path that its first line names. */
export interface Block {
  readonly language: string;
  readonly file?: string;
  readonly text: string;
}

export const blocks: readonly Block[] = [...readme.matchAll(/^```(\w+)(?: file=(\S+))?\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', file, text = '']) => ({ language, text, ...(file === undefined ? {} : { file }) }),
);

/** Every line of a shell block. */
export const shellLines: readonly string[] = blocks
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.trim().split('\n'));

/** Adds to a list file what a diff block says: imports on top, entries at the head of the list. */
export function patched(source: string, diff: string): string {
  const added = diff
    .split('\n')
    .filter((line) => line.startsWith('+'))
    .map((line) => line.slice(1));
  const list =
    diff
      .split('\n')
      .find((line) => line.startsWith(' '))
      ?.slice(1) ?? '';
  if (!source.includes(`${list}\n`)) throw new Error(`the file has no line "${list}"`);
  const imports = added.filter((line) => line.startsWith('import '));
  const entries = added.filter((line) => !line.startsWith('import '));
  return `${imports.join('\n')}\n${source.replace(`${list}\n`, `${list}\n${entries.join('\n')}\n`)}`;
}

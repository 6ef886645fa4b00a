import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));

let checkout = '';

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'baton-launcher-'));
  for (const path of ['bin', 'package.json', 'scripts/build.mjs'])
    cpSync(join(root, path), join(checkout, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  mkdirSync(join(checkout, 'cli'));
  commandLineSays('first');
});

afterEach(() => {
  rmSync(checkout, { recursive: true, force: true });
});

describe('bin/baton in a checkout', () => {
  it('builds at the first start, and not again while the sources stay as they are', async () => {
    expect(await baton('--flag', 'word')).toMatchObject({ stdout: 'first --flag word\n', code: 0 });
    const built = statSync(join(checkout, 'dist', 'baton.js')).ino;
    expect(await baton()).toMatchObject({ stdout: 'first \n' });
    expect(statSync(join(checkout, 'dist', 'baton.js')).ino).toBe(built);
  });

  it('builds again when a source changed', async () => {
    await baton();
    commandLineSays('second');
    expect(await baton()).toMatchObject({ stdout: 'second \n' });
  });

  it('works when several start at once on stale bundles, and leaves no drafts behind', async () => {
    const started = await Promise.all([baton(), baton(), baton(), baton()]);
    expect(started.map(({ stdout }) => stdout)).toEqual(['first \n', 'first \n', 'first \n', 'first \n']);
    expect(readdirSync(join(checkout, 'dist')).sort()).toEqual(['.sources', 'baton.js', 'baton.js.map']);
  });

  it('keeps a part that a running process may still load, for a while from the build that has it no more', async () => {
    const parts = () => readdirSync(join(checkout, 'dist')).filter((name) => /^baton-part-.*\.js$/.test(name));
    const long = new Date(Date.now() - 3_600_000);
    const age = (name: string): void => utimesSync(join(checkout, 'dist', name), long, long);
    latePartSays('first');
    expect(await baton()).toMatchObject({ stdout: 'first\n' });
    const [first = ''] = parts();
    age(first);
    latePartSays('second');
    expect(await baton()).toMatchObject({ stdout: 'second\n' });
    expect(parts()).toHaveLength(2);
    expect(parts()).toContain(first);
    age(first);
    latePartSays('third');
    expect(await baton()).toMatchObject({ stdout: 'third\n' });
    expect(parts()).toHaveLength(2);
    expect(parts()).not.toContain(first);
  });

  it('says what does not build, and where', async () => {
    writeFileSync(join(checkout, 'cli', 'main.ts'), 'export const main = ;\n');
    const { stderr, code } = await baton();
    expect(stderr).toContain('the sources do not build');
    expect(stderr).toContain('cli/main.ts:1');
    expect(code).toBe(70);
  });

  it('says how to install when the dependencies are missing', async () => {
    rmSync(join(checkout, 'node_modules'));
    const { stderr, code } = await baton();
    expect(stderr).toContain('npm run setup');
    expect(code).toBe(2);
  });
});

function commandLineSays(word: string): void {
  const source = `export function main(words: string[]): void {\n  console.log('${word}', words.join(' '));\n}\n`;
  writeFileSync(join(checkout, 'cli', 'main.ts'), source);
}

/** A command line that loads a part of itself when it runs. */
function latePartSays(word: string): void {
  writeFileSync(join(checkout, 'cli', 'part.ts'), `export const word = '${word}';\n`);
  const source = "export const main = async () => console.log((await import('./part.ts')).word);\n";
  writeFileSync(join(checkout, 'cli', 'main.ts'), source);
}

function baton(...words: string[]): Promise<{ stdout: string; stderr: string; code: number | null }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [join(checkout, 'bin', 'baton'), ...words], (_error, stdout, stderr) => {
      resolve({ stdout, stderr, code: child.exitCode });
    });
  });
}

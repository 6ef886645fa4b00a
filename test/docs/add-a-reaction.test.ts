import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { blocks, patched, root } from './readme-blocks.ts';

/** What a copy of the sources does not need. */
const LEFT_OUT = new Set(['node_modules', 'dist', 'coverage', '.git', '.baton']);

/** Copying, compiling and starting Jest on a small, busy machine, in milliseconds. */
const STEP_MS = 120_000;

/** The steps of "Add a reaction" in the README, taken in a copy of the sources. */
describe('a newcomer who follows "Add a reaction"', () => {
  let copy = '';

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'baton-reaction-'));
    for (const name of readdirSync(root)) {
      if (!LEFT_OUT.has(name)) cpSync(join(root, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    for (const { language, file, text } of blocks) {
      if (file === undefined) continue;
      const path = join(copy, file);
      writeFileSync(path, language === 'diff' ? patched(readFileSync(path, 'utf8'), text) : text);
    }
  }, STEP_MS);

  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it('has written an event, a rule, a handler and a test, and named them in three lists', () => {
    expect(blocks.flatMap(({ file }) => file ?? [])).toEqual([
      'events/task-escalated.ts',
      'rules/escalate-task.ts',
      'handlers/escalate-task.ts',
      'test/handlers/escalate-task.test.ts',
      'events/index.ts',
      'rules/index.ts',
      'handlers/index.ts',
    ]);
  });

  it(
    'finds the reaction in the catalog and the diagrams',
    () => {
      const { status, stderr } = inCopy('node_modules/.bin/tsx', 'scripts/generate.ts');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(readFileSync(join(copy, 'docs/catalog.md'), 'utf8')).toContain('### TaskEscalated');
      expect(readFileSync(join(copy, 'docs/choreography.md'), 'utf8')).toContain('escalate_task --> TaskEscalated');
    },
    STEP_MS,
  );

  it(
    'sees the new test pass',
    () => {
      const { status, stderr } = inCopy(
        process.execPath,
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        'node_modules/jest/bin/jest.js',
        'test/handlers/escalate-task.test.ts',
      );
      expect(stderr).toContain('Tests:       3 passed, 3 total');
      expect(status).toBe(0);
    },
    STEP_MS,
  );

  it(
    'breaks no wall and no type',
    () => {
      // Of what was written, and of all that it imports.
      const files = blocks.flatMap(({ file }) => file ?? []);
      writeFileSync(
        join(copy, 'tsconfig.own.json'),
        JSON.stringify({ extends: './tsconfig.json', include: [], files }),
      );
      const types = inCopy('node_modules/.bin/tsc', '--project', 'tsconfig.own.json');
      expect({ status: types.status, stdout: types.stdout }).toEqual({ status: 0, stdout: '' });
      const walls = inCopy(process.execPath, 'scripts/walls.mjs', copy).stderr;
      expect(walls.split('\n').filter((line) => line.includes('escalat'))).toEqual([]);
      const style = inCopy('node_modules/.bin/biome', 'lint', 'events', 'rules', 'handlers', '--vcs-enabled=false');
      expect(`${style.stdout}${style.stderr}`).not.toContain('escalate');
    },
    STEP_MS,
  );

  function inCopy(program: string, ...words: string[]) {
    return spawnSync(program, words, { cwd: copy, encoding: 'utf8', timeout: STEP_MS / 2 });
  }
});

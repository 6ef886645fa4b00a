import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const root = fileURLToPath(new URL('../..', import.meta.url));

const NOT_OURS = new Set(['node_modules', 'dist', 'coverage', 'cdk.out']);

/** Names that say nothing about what is inside: such code belongs in the room of its noun. */
const NOUNLESS = new Set(['util', 'utils', 'common', 'shared', 'lib', 'libs', 'helper', 'helpers', 'misc']);

/** Files of rules/ that are about rules instead of being one. */
const ABOUT_RULES = new Set([
  'index',
  'rule',
  'define',
  'event-pattern',
  'pattern',
  'matcher',
  'pattern-matcher',
  'archived',
]);

const KEBAB_CASE = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/;

describe('the rooms', () => {
  it('have no drawer for things without a noun', () => {
    const drawers = allPaths().filter((path) => NOUNLESS.has(nameOf(path).split('.')[0] ?? ''));
    expect(drawers).toEqual([]);
  });

  it('name every TypeScript file in kebab-case', () => {
    const odd = allPaths().filter((path) => path.endsWith('.ts') && !KEBAB_CASE.test(nameOf(path)));
    expect(odd).toEqual([]);
  });

  it('have a handler and a test of the same name for every rule', () => {
    const missing = rules().flatMap((rule) =>
      [`handlers/${rule}.ts`, `test/handlers/${rule}.test.ts`].filter((path) => !existsSync(join(root, path))),
    );
    expect(missing).toEqual([]);
  });

  it('have a rule of the same name for every handler', () => {
    const known = new Set(rules());
    expect(basenames('handlers').filter((handler) => handler !== 'index' && !known.has(handler))).toEqual([]);
  });
});

function rules(): string[] {
  return basenames('rules').filter((name) => !ABOUT_RULES.has(name));
}

function basenames(room: string): string[] {
  if (!existsSync(join(root, room))) return [];
  return readdirSync(join(root, room))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.slice(0, -'.ts'.length));
}

function allPaths(below = ''): string[] {
  return readdirSync(join(root, below), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name) || entry.name === '.git' || entry.name === '.yarn' || entry.name === '.baton')
      return [];
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    return entry.isDirectory() ? [path, ...allPaths(path)] : [path];
  });
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

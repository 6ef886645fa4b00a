import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = join(import.meta.dirname, '../..');
const { default: LongestFirst }: { default: new () => { sort(tests: readonly object[]): { path: string }[] } } =
  await import(join(root, 'test/house/longest-first.mjs'));

const order = (...paths: string[]): string[] =>
  new LongestFirst()
    .sort(paths.map((path) => ({ path: join(root, path), context: { config: { rootDir: root } } })))
    .map(({ path }) => path.slice(root.length + 1));

describe('the order of the test files', () => {
  it('begins with the longest, and then goes from large to small', () => {
    const [small, large] = ['test/rules/index.test.ts', 'test/runtime/endpoint.test.ts'];
    const [long, longer] = ['test/infra/checks.test.ts', 'test/loopback/fleet-stories.test.ts'];
    expect(order(small, long, large, longer)).toEqual([longer, long, large, small]);
  });

  it('names only files that there are', () => {
    const source = readFileSync(join(root, 'test/house/longest-first.mjs'), 'utf8');
    const named = [...source.matchAll(/'(test\/.*\.test\.ts)'/g)].map(([, file]) => file ?? '');
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });
});

import { AsyncLocalStorage } from 'node:async_hooks';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const used = (): ReadonlySet<unknown> | undefined =>
  Reflect.get(AsyncLocalStorage, Symbol.for('baton.test.used-storages'));

it('the storages of earlier test files are disabled before this one', () => {
  // What the runner itself uses, now: one for each of its bundles.
  expect(used()?.size).toBeGreaterThan(0);
  expect(used()?.size).toBeLessThan(4);
});

it('a storage costs nothing after the file that used it', async () => {
  const { forgetStorages } = await import(fileURLToPath(new URL('./forgotten-storages.mjs', import.meta.url)));
  const own = new AsyncLocalStorage();
  expect(own.run('mine', () => own.getStore())).toBe('mine');
  expect(used()).toContain(own);
  forgetStorages();
  expect(used()).not.toContain(own);
  // Node's own mark, where it has one: it is no part of the documented interface.
  expect(Reflect.get(own, 'enabled')).not.toBe(true);
  expect(own.run('again', () => own.getStore())).toBe('again');
});

import { AsyncLocalStorage } from 'node:async_hooks';

/*
 * Runs before each test file. Jest's runner makes an AsyncLocalStorage for every file and disables none. Before Node 24 each one that was
 * ever used takes its time at every promise of the process (`_propagate` of node:async_hooks), so a worker would become slower with every
 * file that it runs.
 */

/** Storages that were used since the last call of `forgetStorages`. Node's own modules, and what hangs on them, outlive a test file. */
const USED = Symbol.for('baton.test.used-storages');

/** Disables what earlier files used. A storage that is used again is enabled again. */
export function forgetStorages() {
  for (const storage of AsyncLocalStorage[USED]) storage.disable();
  AsyncLocalStorage[USED].clear();
}

if (AsyncLocalStorage[USED] === undefined) {
  AsyncLocalStorage[USED] = new Set();
  const { run } = AsyncLocalStorage.prototype;
  AsyncLocalStorage.prototype.run = function (...given) {
    AsyncLocalStorage[USED].add(this);
    return run.apply(this, given);
  };
}
forgetStorages();

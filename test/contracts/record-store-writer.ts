/** A process that is made to be killed: does operations from a number on, and says the last one of each that became durable. */
import { openLibsqlStore } from '../../runtime/engine/libsql-store.ts';
import { operation } from './record-store-operations.ts';

const [, , file = '', first = ''] = process.argv;
const store = await openLibsqlStore({ file });
for (let n = Number(first); ; n++) {
  const { key, deletes } = operation(n);
  if (deletes) await store.delete(key);
  else await store.put(key, { n }, 'any');
  if (n % 3 === 0) void store.durable().then(() => process.stdout.write(`${n}\n`));
  if (n % 50 === 0) await store.durable();
}

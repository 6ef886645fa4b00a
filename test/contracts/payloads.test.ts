import { beforeEach, expect, it } from '@jest/globals';
import { payloadsOver } from '../../runtime/payloads.ts';
import type { Payloads } from '../../runtime/ports.ts';
import { aTaskId } from '../builders.ts';
import { onEveryStore } from './stores.ts';

onEveryStore((present) => {
  let payloads: Payloads;
  beforeEach(() => {
    payloads = payloadsOver({ store: present.store, secret: () => 'secret' });
  });

  it('come back as they were put, a megabyte and more', async () => {
    const text = 'é🐢x'.repeat(400_000);
    const ref = await payloads.put(aTaskId(), text);
    expect(await payloads.get(ref)).toBe(text);
  });

  it('have one reference for the same text of the same task', async () => {
    const refs = [await payloads.put(aTaskId(), 'x'), await payloads.put(aTaskId(), 'x')];
    expect(refs[0]).toBe(refs[1]);
    expect(await present.store.list('PAYLOAD#', { limit: 9 })).toHaveLength(1);
  });

  it('have a reference that nobody can guess: not from the text, nor from another world', async () => {
    const ref = await payloads.put(aTaskId(), 'x');
    const elsewhere = payloadsOver({ store: present.store, secret: () => 'another' });
    expect(await payloads.put(aTaskId('green'), 'x')).not.toBe(ref);
    expect(await elsewhere.put(aTaskId(), 'x')).not.toBe(ref);
    expect(ref).toMatch(/^t[0-9a-z]{24}\.[A-Za-z0-9_-]{43}$/);
  });

  it('are all gone when their task is forgotten, and those of others are not', async () => {
    const mine = [await payloads.put(aTaskId(), 'x'), await payloads.put(aTaskId(), 'y')];
    const other = await payloads.put(aTaskId('green'), 'x');
    await payloads.forget(aTaskId());
    for (const ref of mine) expect(await payloads.get(ref)).toBeUndefined();
    expect(await payloads.get(other)).toBe('x');
  });

  it('are gone when deleted, twice', async () => {
    const ref = await payloads.put(aTaskId(), 'x');
    await payloads.delete(ref);
    await payloads.delete(ref);
    expect(await payloads.get(ref)).toBeUndefined();
  });

  it('are undefined under a reference that never was', async () => {
    expect(await payloads.get('nothing')).toBeUndefined();
  });

  it('are kept over a restart', async () => {
    const ref = await payloads.put(aTaskId(), 'x');
    await present.store.durable();
    const reopened = payloadsOver({ store: await present.reopen(), secret: () => 'secret' });
    expect(await reopened.get(ref)).toBe('x');
  });
});

import { beforeEach, expect, it } from '@jest/globals';
import type { Payloads } from '../../runtime/ports.ts';
import { aTaskId } from '../builders.ts';

/** What keeps payloads during the test that runs. */
export interface PresentPayloads {
  /** Payloads of a world with this secret. */
  open(secret: string): Payloads;
  /** The same for another process, after this one has ended. */
  reopen(secret: string): Promise<Payloads>;
  /** How many are kept. */
  count(): Promise<number>;
}

/** What payloads promise, whatever keeps them. */
export function payloadsContract(present: PresentPayloads): void {
  let payloads: Payloads;
  beforeEach(() => {
    payloads = present.open('secret');
  });

  it('come back as they were put, a megabyte and more', async () => {
    const text = 'é🐢x\r\n\u0000'.repeat(300_000);
    const ref = await payloads.put(aTaskId(), text);
    expect((await payloads.get(ref)) === text).toBe(true);
  });

  it('come back as they were put, empty', async () => {
    expect(await payloads.get(await payloads.put(aTaskId(), ''))).toBe('');
  });

  it('have one reference for the same text of the same task', async () => {
    const refs = [await payloads.put(aTaskId(), 'x'), await payloads.put(aTaskId(), 'x')];
    expect(refs[0]).toBe(refs[1]);
    expect(await present.count()).toBe(1);
  });

  it('have a reference that nobody can guess: not from the text, nor from another world', async () => {
    const ref = await payloads.put(aTaskId(), 'x');
    const elsewhere = present.open('another');
    expect(await payloads.put(aTaskId('green'), 'x')).not.toBe(ref);
    expect(await elsewhere.put(aTaskId(), 'x')).not.toBe(ref);
    expect(ref).toMatch(/^t[0-9a-z]{24}\.[A-Za-z0-9_-]{43}$/);
  });

  it('are all gone when their task is forgotten, and those of others are not', async () => {
    const mine = [await payloads.put(aTaskId(), 'x'), await payloads.put(aTaskId(), 'y')];
    const other = await payloads.put(aTaskId('green'), 'x');
    await payloads.forget(aTaskId());
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
    const reopened = await present.reopen('secret');
    expect(await reopened.get(ref)).toBe('x');
  });
}

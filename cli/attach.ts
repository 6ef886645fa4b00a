import { setTimeout as sleep } from 'node:timers/promises';
import type { World } from '../runtime/embedded-world.ts';
import { BatonError } from '../runtime/errors.ts';
import { worldOf } from './find-world.ts';
import { type WorldClient, worldClient } from './world-client.ts';
import { GITHUB } from './world-means.ts';
import type { WorldNotices } from './world-notices.ts';

/** A world that is just opening or closing holds its lock without answering: this long it is waited for, in milliseconds. */
const ATTACH_WAIT_MS = 20_000;
const ATTACH_PAUSE_MS = 100;

/** The world of a data directory: opened here (`own`), or joined. */
export interface Attachment {
  readonly client: WorldClient;
  readonly own: World | undefined;
  /** The process that runs it. */
  readonly pid: number;
}

/** Joins the world that runs on the data directory, or opens one, whose troubles are told to `notices`. Throws StoreError when neither is possible. */
export async function attach(dataDir: string, notices: WorldNotices): Promise<Attachment> {
  // Only for who may run a world, now or when the one that it joins is gone: a later build may have taken away what is loaded late.
  const { openWorld } = await import('../runtime/embedded-world.ts');
  const untilMs = Date.now() + ATTACH_WAIT_MS;
  for (;;) {
    const joined = await joinWorld(dataDir);
    if (joined) return joined;
    try {
      const own = await openWorld({ dataDir, ...GITHUB, ...notices });
      return { client: worldClient(own.url), own, pid: process.pid };
    } catch (error) {
      const mayPass = error instanceof BatonError && error.code === 'store_locked';
      if (!mayPass || Date.now() > untilMs) throw error;
    }
    await sleep(ATTACH_PAUSE_MS);
  }
}

/** The running world of a data directory, if there is one that answers for it. */
export async function joinWorld(dataDir: string): Promise<Attachment | undefined> {
  const known = worldOf(dataDir);
  if (!known) return undefined;
  const client = worldClient(known.url);
  try {
    const { pid } = await client.facts();
    // Another world may have got the port of one that was killed.
    return pid === known.pid ? { client, own: undefined, pid } : undefined;
  } catch {
    return undefined;
  }
}

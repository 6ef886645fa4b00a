import { setTimeout as sleep } from 'node:timers/promises';
import { isNoWorld } from './find-world.ts';
import type { WorldClient } from './world-client.ts';

/** A world that goes away may be handed over or started again: this long the next one is looked for, in milliseconds. */
const NEXT_WORLD_WAIT_MS = 10_000;
const NEXT_WORLD_PAUSE_MS = 250;

/** Works with a world, and again with the next one when it goes away; throws `no_world` when none came in time. */
export async function patiently<Answer>(
  find: () => Promise<WorldClient>,
  work: (client: WorldClient) => Promise<Answer>,
): Promise<Answer> {
  for (let seenMs = Date.now(); ; ) {
    try {
      const client = await find();
      seenMs = Date.now();
      return await work(client).finally(() => {
        seenMs = Date.now();
      });
    } catch (error) {
      if (!isNoWorld(error) || Date.now() - seenMs > NEXT_WORLD_WAIT_MS) throw error;
    }
    await sleep(NEXT_WORLD_PAUSE_MS);
  }
}

import { afterAll, beforeAll } from '@jest/globals';
import { onEveryWorld } from './every-world.ts';
import type { FlowScene } from './scene.ts';
import { configured } from './stories/configured.ts';
import { namedRequester } from './stories/named-requester.ts';
import { oneKey } from './stories/one-key.ts';
import { strangeEvents } from './stories/strange-events.ts';

/** What a world makes of what comes in, and of how a repository is configured. All are told in one world: the first counts records, which tasks that settle would change. */
onEveryWorld((openScene, traits) => {
  let scene: FlowScene;
  beforeAll(async () => {
    // A repository that is configured has its own limit, which may be higher. Requests race for one key.
    scene = await openScene({ limit: 1, crowdedMs: 0 });
  });
  afterAll(() => scene.close());

  for (const tell of [strangeEvents, oneKey, namedRequester, configured]) tell(() => scene, traits);
});

import { afterAll, beforeAll } from '@jest/globals';
import { onEveryWorld } from './every-world.ts';
import type { FlowScene } from './scene.ts';
import { namedRequester } from './stories/named-requester.ts';
import { oneKey } from './stories/one-key.ts';
import { strangeEvents } from './stories/strange-events.ts';

/** What a world makes of what comes in. All are told in one world: the first counts records, which tasks that settle would change. */
onEveryWorld((openScene, traits) => {
  let scene: FlowScene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene.close());

  for (const tell of [strangeEvents, oneKey, namedRequester]) tell(() => scene, traits);
});

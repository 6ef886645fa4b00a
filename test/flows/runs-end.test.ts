import { afterAll, beforeAll } from '@jest/globals';
import { onEveryWorld } from './every-world.ts';
import type { FlowScene } from './scene.ts';
import { agentFails } from './stories/agent-fails.ts';
import { cancelled } from './stories/cancelled.ts';
import { completes } from './stories/completes.ts';
import { livesOn } from './stories/lives-on.ts';
import { lostRun } from './stories/lost-run.ts';
import { stubborn } from './stories/stubborn.ts';
import { takenAway } from './stories/taken-away.ts';
import { timeOut } from './stories/time-out.ts';

/** How runs end. A world on loopback starts a process for each function, so all are told in one; the first finds it empty. */
onEveryWorld((openScene, traits) => {
  let scene: FlowScene;
  beforeAll(async () => {
    scene = await openScene();
  });
  afterAll(() => scene.close());

  for (const tell of [completes, agentFails, cancelled, timeOut, lostRun, takenAway, stubborn, livesOn])
    tell(() => scene, traits);
});

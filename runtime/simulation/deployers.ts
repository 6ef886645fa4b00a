import { BASE_MARKER, CLONE_TAGS, type NewDefinition } from '../../lifecycle/user-definition.ts';
import type { Scene } from './scene.ts';
import {
  aBase,
  BASE_FAMILY,
  CLONE_FAMILY,
  LAG_MAX_MS,
  type Revision,
  type SimulatedRegistry,
} from './simulated-registry.ts';

/** Deployments and mistakes of one seed at the most, and when the last comes, in milliseconds. */
const TIMES_MAX = 4;
const SOON_MS = 60_000;
const MIDDLE_MS = 900_000;
const LATE_MS = 8 * 3_600_000;
/** How long a legacy family stays mixed, in milliseconds, until a new base mends it. */
const MIXED_MAX_MS = 900_000;
/** How long after a deployment its predecessor is deregistered, in milliseconds, as CloudFormation does when it cleans up: when the new one shows. */
const CLEANS_UP_MAX_MS = 300_000;

/** Who writes task definitions beside Baton: infrastructure deploys, and somebody does what nobody should. */
export function letOthersDeploy(scene: Scene, stage: string, registry: SimulatedRegistry): void {
  const { time } = scene;
  const random = scene.random.fork('deployers');
  let deployed = 0;
  let last = deploy();

  if (scene.has('new-base')) atAnyTime(() => void replace());
  if (scene.has('legacy-family')) atAnyTime(mix);
  if (scene.has('clone-gone')) atAnyTime(takeClone);

  function atAnyTime(work: () => void): void {
    for (let count = random.int(1, TIMES_MAX); count > 0; count--) {
      time.at(time.nowMs() + random.int(0, random.pick([SOON_MS, MIDDLE_MS, LATE_MS])), work);
    }
  }

  function deploy(): Revision {
    return registry.register(aBase(`agent:${++deployed}`, stage), 'infrastructure');
  }

  function replace(): void {
    const before = last;
    last = deploy();
    if (!random.chance(0.5)) return;
    time.at(time.nowMs() + random.int(LAG_MAX_MS, CLEANS_UP_MAX_MS), () =>
      registry.deregister(before, 'infrastructure'),
    );
  }

  /** The base family gets a clone of somebody's, as older tools made them. */
  function mix(): void {
    registry.register(aStrangersClone(stage), 'stranger');
    time.at(time.nowMs() + random.int(1, MIXED_MAX_MS), replace);
  }

  function takeClone(): void {
    const clones = registry.revisions.filter(({ family, gone }) => family === CLONE_FAMILY && !gone);
    const [first, ...rest] = clones;
    if (first) registry.deregister(random.pick([first, ...rest]), 'stranger');
  }
}

function aStrangersClone(stage: string): NewDefinition {
  const { tags, definition } = aBase('agent:of-somebody', stage);
  const { [BASE_MARKER]: _marker, ...rest } = tags;
  return { family: BASE_FAMILY, definition, tags: { ...rest, [CLONE_TAGS.user]: 'somebody' } };
}

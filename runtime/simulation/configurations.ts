import type { RepositoryConfig } from '../../schemas/repository-config.ts';
import type { Random } from './random.ts';
import type { ControlPlane, Scene } from './scene.ts';
import { REPOSITORIES, requestEvent } from './workload.ts';

/** Requests of one seed at the most, and when the last comes, in milliseconds. */
const REQUESTS_MAX = 8;
const SOON_MS = 300_000;
const LATE_MS = 6 * 3_600_000;

/** Times for the first word of an agent, in seconds. */
const PATIENCE_S = [30, 600, 3_600] as const;

const NAMES = [...REPOSITORIES, 'https://example.org/*'] as const;

/** Operators who configure repositories while tasks of theirs run: some before the first task, some in the middle, some twice. */
export function configureRepositories(scene: Scene, plane: ControlPlane): void {
  const { time, trace } = scene;
  const random = scene.random.fork('configurations');
  if (!scene.has('configuration')) {
    ask(time.nowMs(), 'patience', REPOSITORIES[0], { firstOutputSeconds: random.pick(PATIENCE_S) });
    return;
  }
  const requests = random.int(1, REQUESTS_MAX);
  for (let number = 1; number <= requests; number++) {
    const fromMs = number <= 2 ? 0 : random.int(0, random.chance(0.5) ? SOON_MS : LATE_MS);
    const name = random.pick(NAMES);
    const config = random.chance(0.15) ? null : aConfiguration(scene, random);
    const times = scene.has('duplicate') && random.chance(0.3) ? 2 : 1;
    for (let copy = 0; copy < times; copy++) {
      ask(time.nowMs() + fromMs + copy * random.int(1, SOON_MS), `configuration-${number}`, name, config);
    }
  }

  function ask(atMs: number, id: string, name: string, config: RepositoryConfig | null): void {
    time.at(atMs, () => {
      trace.line(`somebody configures ${name}: ${JSON.stringify(config)}`);
      const event = requestEvent(id, 'RepositoryConfigRequested', { name, config });
      void plane.publish({ ...event, time: time.now() });
    });
  }
}

function aConfiguration(scene: Scene, random: Random): RepositoryConfig {
  return {
    ...(random.chance(0.7) ? { limit: random.int(1, 3) } : {}),
    ...(random.chance(0.3) ? { priority: random.int(0, 9) } : {}),
    ...(random.chance(0.3) ? { attempts: random.int(1, 5) } : {}),
    ...(random.chance(0.3) ? { retryAgentFailure: true } : {}),
    ...(random.chance(scene.has('silent-agent') ? 0.7 : 0.1) ? { firstOutputSeconds: random.pick(PATIENCE_S) } : {}),
    ...(random.chance(0.4) ? { subscribers: [{ channel: 'webhook', target: 'https://example.org/hook' }] } : {}),
  };
}

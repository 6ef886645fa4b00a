import type { RepositoryConfig } from '../../schemas/repository-config.ts';
import type { UserTerms } from '../../schemas/task-definition.ts';
import type { Random } from './random.ts';
import type { ControlPlane, Scene } from './scene.ts';
import { REPOSITORIES, requestEvent, USERS } from './workload.ts';

/** Requests of one seed at the most, and when the last comes, in milliseconds. */
const REQUESTS_MAX = 8;
const SOON_MS = 300_000;
const LATE_MS = 6 * 3_600_000;

/** Times for the first word of an agent, in seconds. */
const PATIENCE_S = [30, 600, 3_600] as const;

const NAMES = [...REPOSITORIES, 'https://example.org/*'] as const;
/** In some worlds one of these isolates users, and runs on Spot capacity. */
const OWN = [REPOSITORIES[1], NAMES[2]] as const;
/** Faults that only such repositories know. */
const OF_OWN = ['registry-throttle', 'clone-gone', 'changed-users', 'spot'] as const;

type Config = RepositoryConfig | null;

/** Operators who configure repositories while tasks of theirs run: some before the first task, some in the middle, some twice. */
export function configureRepositories(scene: Scene, plane: ControlPlane): void {
  const { time, trace } = scene;
  const random = scene.random.fork('configurations');
  const own = random.pick(OWN);
  let asked = 0;
  if (OF_OWN.some(scene.has) || random.chance(0.3)) ask(0, own, ownOf(scene, random));
  if (scene.has('changed-users')) {
    for (let count = random.int(1, REQUESTS_MAX); count > 0; count--) ask(atAnyTimeMs(), own, ownOf(scene, random));
  }
  if (scene.has('configuration')) {
    const requests = random.int(1, REQUESTS_MAX);
    for (let number = 1; number <= requests; number++) {
      const config = random.chance(0.15) ? null : aConfiguration(scene, random);
      ask(number <= 2 ? 0 : atAnyTimeMs(), random.pick(NAMES), config);
    }
  } else if (scene.has('silent-agent')) ask(0, REPOSITORIES[0], { firstOutputSeconds: random.pick(PATIENCE_S) });

  function atAnyTimeMs(): number {
    return random.int(0, random.chance(0.5) ? SOON_MS : LATE_MS);
  }

  function ask(fromMs: number, name: string, config: Config): void {
    const id = `configuration-${++asked}`;
    const times = scene.has('duplicate') && random.chance(0.3) ? 2 : 1;
    for (let copy = 0; copy < times; copy++) {
      time.at(time.nowMs() + fromMs + copy * random.int(1, SOON_MS), () => {
        trace.line(`somebody configures ${name}: ${JSON.stringify(config)}`);
        const event = requestEvent(id, 'RepositoryConfigRequested', { name, config });
        void plane.publish({ ...event, time: time.now() });
      });
    }
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
    ...(random.chance(0.3)
      ? ownOf(scene, random)
      : random.chance(0.4)
        ? { compute: random.pick(['agentcore', 'ecs']) }
        : {}),
  };
}

/** Each user for itself, or a kind of capacity, or both: what one back end offers alone. */
function ownOf(scene: Scene, random: Random): RepositoryConfig {
  const isIsolated = !scene.has('spot') || random.chance(0.5);
  return {
    compute: 'ecs',
    ...(isIsolated ? { isolation: 'per-user', users: usersOf(scene, random) } : {}),
    ...(scene.has('spot') || random.chance(0.3) ? { capacity: random.pick(['spot', 'spot-first']) } : {}),
  };
}

/** What each user gets. Where that changes, some are not named any more. */
function usersOf(scene: Scene, random: Random): Record<string, UserTerms> {
  const users: Record<string, UserTerms> = {};
  const forgets = scene.has('changed-users') && random.chance(0.4);
  if (!forgets) users['*'] = termsOf('everybody', random);
  for (const user of USERS) if (random.chance(0.5)) users[user] = termsOf(user, random);
  return Object.keys(users).length > 0 ? users : { [USERS[0]]: {} };
}

/** Secrets say in their names whose they are. */
function termsOf(owner: string, random: Random): UserTerms {
  const secret = `arn:aws:secretsmanager:local:000000000000:secret:${owner}-${random.int(1, 2)}`;
  return {
    ...(random.chance(0.3)
      ? {
          size: random.pick([
            { cpu: 1024, memory: 2048 },
            { cpu: 4096, memory: 8192 },
          ]),
        }
      : {}),
    ...(random.chance(0.3)
      ? { fileSystem: { id: 'fs-0123abcd', accessPoint: random.pick(['fsap-0000abcd', 'fsap-1111abcd']) } }
      : {}),
    ...(random.chance(0.6) ? { secrets: { TOKEN: secret } } : {}),
  };
}

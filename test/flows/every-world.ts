import { join } from 'node:path';
import { beforeAll, describe, it, jest } from '@jest/globals';
import { awsTimings, type Timings } from '../../lifecycle/timings.ts';
import { ATTEMPTS_OF_A_DELIVERY } from '../../rules/rule.ts';
import type { WorldOptions } from '../../runtime/embedded-world.ts';
import type { Compute } from '../../schemas/compute.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { type LoopbackOptions, type LoopbackWorld, openAwsOnLoopback } from '../loopback/aws-on-loopback.ts';
import { cloudAssembly, PREPARING_MAX_MS, withComputes } from '../loopback/cloud-assembly.ts';
import { sceneFolder } from '../scene-folder.ts';
import { type FlowScene, openScene, QUICK_STOP_S, quickTimings, sceneIn } from './scene.ts';

/** What a story may ask of any world. */
export type SceneOptions = Pick<WorldOptions, 'limit' | 'runnerCommand' | 'failStart' | 'github'> & {
  readonly copies?: number;
  readonly screening?: 'stand-in';
  /** On loopback, where a story is about functions that race with themselves: 0. */
  readonly crowdedMs?: number;
};
export type OpenScene = (options?: SceneOptions) => Promise<FlowScene>;

/** What differs between the worlds without breaking a promise. */
export interface WorldTraits {
  /** Deliveries of an event that can never be handled, where no queue brings it: Lambda does not know which ones these are. */
  readonly poisonTries: number;
  /**
   * A story for the embedded world alone: what it shows is decided by pure code, which is the same in every world, and its steps go over
   * the wire in another story. Told in both worlds is at least one story of each function, and whatever permissions, wiring, queues,
   * deliveries, limits of functions, dead letters, native events or protocols decide. After a whole run `test/house/nothing-left.mjs`
   * names the functions that ran in no story on loopback.
   */
  readonly itEmbedded: typeof it;
}

/** Stories that share a world with others: each looks only at its own tasks, and leaves none behind. */
export type Stories = (scene: () => FlowScene, traits: WorldTraits) => void;

/** Tells nothing. */
const untold = Object.assign(() => undefined, { each: () => () => undefined }) as unknown as typeof it;

/** How many times faster waits are on loopback than on AWS. All by the same factor, so that each outlasts what it outlasts there. */
const FASTER = 15;

const loopbackTimings = {
  ...(Object.fromEntries(
    Object.entries(awsTimings).map(([name, seconds]) => [name, seconds / FASTER]),
  ) as unknown as Timings),
  TIMEOUT_DEFAULT_S: quickTimings.TIMEOUT_DEFAULT_S,
};

/** The secret that holds the token of GitHub. */
const GITHUB_TOKEN_ARN = 'arn:aws:secretsmanager:us-east-1:000000000000:secret:github-AbCdEf';

/** The secret that holds the value of a variable of agents. */
const agentSecretArn = (variable: string): string =>
  `arn:aws:secretsmanager:us-east-1:000000000000:secret:${variable.toLowerCase()}-AbCdEf`;

/** Longest a test of a story may take in milliseconds: on loopback every step is a process of its own that may have to start first. */
const STORY_MAX_MS = 240_000;
/** How long such a test waits for an end, in milliseconds. */
const PATIENCE_MS = 120_000;
/** Between two looks at a task there, in milliseconds: each is a call to DynamoDB, and takes from what is waited for. */
const LOOK_PAUSE_MS = 100;

/** Tells stories in the embedded world, and those that are not for it alone in the deployed program with AWS's protocols on loopback. */
export function onEveryWorld(tell: (openScene: OpenScene, traits: WorldTraits) => void): void {
  const openEmbedded: OpenScene = ({ crowdedMs: _, ...options } = {}) => openScene(options);
  describe('embedded', () => tell(openEmbedded, { poisonTries: 1, itEmbedded: it }));
  onLoopback(() => tell(openLoopbackScene, { poisonTries: ATTEMPTS_OF_A_DELIVERY, itEmbedded: untold }));
}

/** Tells stories that only the deployed program has. */
export function onLoopback(tell: () => void): void {
  jest.setTimeout(STORY_MAX_MS);
  describe('aws on loopback', () => {
    beforeAll(() => {
      cloudAssembly();
    }, PREPARING_MAX_MS);
    tell();
  });
}

export async function openLoopbackScene(
  options: SceneOptions &
    Pick<LoopbackOptions, 'dieAt' | 'environment' | 'fleet' | 'functionTimeoutSeconds' | 'loses' | 'sessions'> & {
      timings?: Partial<Timings>;
      /** Back ends that are deployed, the default one first; ECS alone where it is not given. */
      computes?: readonly Compute[];
      /** Fleets that are deployed, as the setting has them. */
      fleets?: string;
      /** Secrets that are deployed for agents: values by variable. */
      agentSecrets?: Readonly<Record<string, string>>;
    } = {},
): Promise<FlowScene<LoopbackWorld>> {
  const { screening, github, timings, environment, computes, fleets, agentSecrets = {}, ...more } = options;
  const keys = Object.entries(agentSecrets).map(([name, value]) => ({ name, arn: agentSecretArn(name), value }));
  const folder = sceneFolder();
  const world = await openAwsOnLoopback({
    assembly: cloudAssembly({
      ...(screening ? { screening: 'required' } : {}),
      ...(github?.token ? { githubToken: GITHUB_TOKEN_ARN } : {}),
      ...(computes ? withComputes(computes) : {}),
      ...(fleets === undefined ? {} : { fleets }),
      ...(keys.length > 0 ? { agentSecrets: keys.map(({ name, arn }) => `${name}=${arn}`).join(',') } : {}),
    }),
    environment: { ...(github?.url ? { BATON_GITHUB_URL: github.url } : {}), ...environment },
    secrets: {
      ...(github?.token ? { [GITHUB_TOKEN_ARN]: github.token } : {}),
      ...Object.fromEntries(keys.map(({ arn, value }) => [arn, value])),
    },
    dataDir: join(folder, 'data'),
    timings: { ...loopbackTimings, ...timings },
    stopTimeoutSeconds: QUICK_STOP_S,
    ...more,
  });
  const scene = sceneIn(folder, () => world, PATIENCE_MS, LOOK_PAUSE_MS);
  world.listen((event: Envelope) => scene.events.push(event));
  return scene;
}

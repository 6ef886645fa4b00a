import { isDeepStrictEqual } from 'node:util';
import type { EcsTasks } from '../../runtime/endpoint/aws/ecs.ts';
import { type Interruption, type LocalEcs, type LocalEcsOptions, localEcs } from '../../runtime/engine/local-ecs.ts';
import { ecsTaskIdOf, taskArnOf } from '../../runtime/engine/local-ecs-task.ts';
import { type LocalRegistry, localRegistry } from '../../runtime/engine/local-registry.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { Clock } from '../../runtime/ports.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import type { DeployedTaskDefinition, Deployment } from './deployment.ts';
import { ACCOUNT, REGION } from './template.ts';

/** Path of the metadata endpoint below the address of the services; the id of the task follows. */
const METADATA = '/ecs-metadata/';

export interface EcsOnLoopbackOptions
  extends Pick<
    LocalEcsOptions,
    'dataDir' | 'runnerCommand' | 'supervisorCommand' | 'stopTimeoutSeconds' | 'failStart'
  > {
  readonly clock: Clock;
  readonly deployment: Deployment;
  /** Address of the services. */
  readonly url: string;
  /** What every container gets besides what the task definition and the start say: region, credentials, addresses. */
  readonly environment: Readonly<Record<string, string>>;
  /** The default bus. */
  readonly publish: (events: readonly Envelope[]) => Promise<void>;
  readonly warn: (message: string, error: unknown) => void;
}

/** ECS of a deployment: its cluster and task definition, and the containers as processes of this machine. */
export interface EcsOnLoopback {
  readonly tasks: EcsTasks;
  readonly clusters: readonly string[];
  readonly registry: LocalRegistry;
  /**
   * Registers what changed since the last deployment, and puts away what it replaces, as CloudFormation does: by its own templates,
   * whatever somebody else did to the family meanwhile.
   */
  deploy(taskDefinitions: readonly DeployedTaskDefinition[]): Promise<void>;
  /** Takes the machine away under a running task. */
  interrupt(taskArn: string, how: Interruption): Promise<boolean>;
  /** What the metadata endpoint answers at this path, as ECS gives it to a container; undefined for any other path. */
  metadata(path: string): object | undefined;
  close(): Promise<void>;
}

/** The runs are those of the embedded ECS. It has one place of its own, so the ARNs are translated on their way in and out. */
export function ecsOnLoopback(options: EcsOnLoopbackOptions): EcsOnLoopback {
  const { deployment, clock, url } = options;
  const arns = arnsOf(deployment);
  const store = memoryStore();
  const place = { account: ACCOUNT, region: REGION };
  const registry = localRegistry({ store, nowMs: () => Date.parse(clock.now()), place });
  const standing = new Map<string, { readonly from: DeployedTaskDefinition; readonly arn: string }>();
  const deployed = deploy(deployment.taskDefinitions);
  const ecs: LocalEcs = localEcs({
    store,
    registry,
    clock,
    dataDir: options.dataDir,
    // Only the runner of the embedded world reads it.
    worldFile: '/nonexistent',
    runnerCommand: options.runnerCommand,
    supervisorCommand: options.supervisorCommand,
    ...(options.stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds: options.stopTimeoutSeconds }),
    ...(options.failStart === undefined ? {} : { failStart: options.failStart }),
    bus: (events) => options.publish(events.map((event) => ({ ...arns.outward(event), region: REGION }))),
    secretEnvironment: ({ clientToken }) => ({
      ...options.environment,
      ECS_CONTAINER_METADATA_URI_V4: `${url}${METADATA}${ecsTaskIdOf(clientToken)}`,
    }),
    warn: options.warn,
  });
  return {
    tasks: {
      taskArns: (startedBy) => ecs.taskArns(startedBy).map(arns.outward),
      describe: async (arn) => arns.outward(await ecs.describe(arns.inward(arn))),
      tags: (arn) => ecs.tags(arns.inward(arn)),
      startOnce: async (run) => {
        await deployed;
        return arns.outward(await ecs.startOnce(run));
      },
      stop: (handle, reason) => ecs.stop(arns.inward(handle), reason),
    },
    clusters: deployment.clusters.map(({ name }) => name),
    registry,
    deploy,
    interrupt: (taskArn, how) => ecs.interrupt(arns.inward(taskArn), how),
    metadata(path) {
      const [, id] = /^([0-9a-f]{32})\/task$/.exec(path.startsWith(METADATA) ? path.slice(METADATA.length) : '') ?? [];
      return id === undefined
        ? undefined
        : { TaskARN: arns.outward(taskArnOf(id)), Cluster: deployment.clusters[0]?.arn };
    },
    close: () => ecs.close(),
  };

  async function deploy(taskDefinitions: readonly DeployedTaskDefinition[]): Promise<void> {
    for (const next of taskDefinitions) {
      const before = standing.get(next.family);
      if (isDeepStrictEqual(before?.from, next)) continue;
      standing.set(next.family, { from: next, arn: await registry.register(next) });
      if (before) await registry.deregister(before.arn);
    }
  }
}

/** How the embedded ECS names what the deployment has: account and shape of the ARNs are the same, region and names are not. */
const EMBEDDED_ARN = `arn:aws:ecs:local:${ACCOUNT}:`;

function arnsOf({ clusters: [cluster] }: Deployment) {
  const pairs = [
    [`${EMBEDDED_ARN}cluster/baton`, cluster?.arn],
    [`${EMBEDDED_ARN}task/baton/`, cluster && `arn:aws:ecs:${REGION}:${ACCOUNT}:task/${cluster.name}/`],
    [`${EMBEDDED_ARN}container/baton/`, cluster && `arn:aws:ecs:${REGION}:${ACCOUNT}:container/${cluster.name}/`],
  ].filter((pair): pair is [string, string] => pair[1] !== undefined);
  return {
    outward: <Value>(value: Value): Value => renamed(value, pairs),
    inward: <Value>(value: Value): Value =>
      renamed(
        value,
        pairs.map(([embedded, deployed]) => [deployed, embedded]),
      ),
  };
}

/** The same JSON with every text that begins with one of the names beginning with the other. */
function renamed<Value>(value: Value, pairs: readonly (readonly [string, string])[]): Value {
  if (value === undefined) return value;
  return JSON.parse(JSON.stringify(value), (_key, one: unknown) => {
    const pair = typeof one === 'string' ? pairs.find(([from]) => one.startsWith(from)) : undefined;
    return pair ? `${pair[1]}${String(one).slice(pair[0].length)}` : one;
  }) as Value;
}

import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AgentcoreParts, agentcoreService } from '../../runtime/endpoint/aws/agentcore.ts';
import { awsEndpoint, isAwsCall } from '../../runtime/endpoint/aws/aws-endpoint.ts';
import { type Bucket, memoryBucket } from '../../runtime/endpoint/aws/buckets.ts';
import { ecsService } from '../../runtime/endpoint/aws/ecs.ts';
import { eventBridgeService, type ListedRule } from '../../runtime/endpoint/aws/eventbridge.ts';
import { memorySchedules } from '../../runtime/endpoint/aws/memory-schedules.ts';
import { s3Service } from '../../runtime/endpoint/aws/s3.ts';
import { schedulerService } from '../../runtime/endpoint/aws/scheduler.ts';
import { secretsManagerService } from '../../runtime/endpoint/aws/secrets-manager.ts';
import { sqsService, type TakingQueue } from '../../runtime/endpoint/aws/sqs.ts';
import { realScheduler } from '../../runtime/engine/scheduler.ts';
import type { Clock } from '../../runtime/ports.ts';
import { bedrockService } from './bedrock.ts';
import type { Deployment } from './deployment.ts';
import type { EcsOnLoopback } from './ecs-on-loopback.ts';
import type { EventRouter } from './event-router.ts';
import type { FleetOnLoopback } from './fleet-on-loopback.ts';
import type { FunctionHost } from './function-host.ts';
import { lambdaService } from './lambda-service.ts';
import type { Queue, Queues } from './queues.ts';
import { ACCOUNT, REGION } from './template.ts';

export interface AwsServicesOptions {
  readonly deployment: Deployment;
  readonly queues: Queues;
  readonly router: Pick<EventRouter, 'put'>;
  readonly ecs: EcsOnLoopback;
  readonly agentcore: AgentcoreParts;
  readonly fleet: Pick<FleetOnLoopback, 'services'>;
  readonly functions: Pick<FunctionHost, 'invokeLater'>;
  readonly clock: Clock;
  readonly warn: (message: string, error: unknown) => void;
  /** Secrets that the deployment did not make, by ARN. */
  readonly secrets?: Readonly<Record<string, string>>;
}

/** The services of a deployment but DynamoDB, each over the resources that the templates name, at one address. */
export interface AwsServices {
  serve(request: IncomingMessage, response: ServerResponse): void;
  readonly buckets: readonly Bucket[];
  stop(): void;
}

const PLACE = { account: ACCOUNT, region: REGION };

export function awsServices({
  deployment,
  queues,
  router,
  ecs,
  agentcore,
  fleet,
  functions,
  clock,
  warn,
  secrets: given = {},
}: AwsServicesOptions): AwsServices {
  const { now } = clock;
  const buses = [{ name: 'default' }, ...deployment.buses].map(({ name }) => ({
    name,
    publish: async (events: Parameters<EventRouter['put']>[1]) => router.put(name, events),
  }));
  const schedules = memorySchedules({
    scheduler: realScheduler(),
    targets: queues.all.map((queue) => ({ arn: queue.arn, deliver: async (input) => queue.send(input) })),
    warn,
  });
  const buckets = deployment.buckets.map((name) => memoryBucket(name, now));
  const secret = randomBytes(24).toString('hex');
  const secrets = [
    ...deployment.secrets.map((arn) => ({ arn, name: arn, text: () => secret })),
    ...Object.entries(given).map(([arn, text]) => ({ arn, name: arn, text: () => text })),
  ];
  const { tasks, clusters, registry } = ecs;
  const endpoint = awsEndpoint(
    [
      eventBridgeService({ place: PLACE, buses, rules: deployment.rules.map(listed), now, warn }),
      sqsService({ queues: queues.all.map(taking) }),
      schedulerService({ place: PLACE, groups: deployment.scheduleGroups, book: schedules, now }),
      secretsManagerService({ secrets }),
      s3Service({ buckets }),
      agentcoreService(agentcore),
      ecsService({ place: PLACE, tasks, clusters, registry }),
      ...fleet.services,
      bedrockService(),
      lambdaService(functions),
    ],
    { warn },
  );
  return {
    serve(request, response) {
      if (isAwsCall(request.headers)) return void endpoint(request, response);
      // Besides, containers ask here who they are.
      const metadata = ecs.metadata(request.url ?? '');
      response.writeHead(metadata ? 200 : 404, { 'content-type': 'application/json' });
      response.end(JSON.stringify(metadata ?? {}));
    },
    buckets,
    stop: () => schedules.stop(),
  };
}

const taking = (queue: Queue): TakingQueue => ({
  name: queue.name,
  arn: queue.arn,
  url: queue.url,
  send: async ({ body, delaySeconds, attributes }) =>
    queue.send(body, { delaySeconds, attributes: textsOf(attributes) }).messageId,
  attributes: () => ({ ApproximateNumberOfMessages: String(queue.depth()) }),
  reader: queue,
});

/** Message attributes as texts by name. */
const textsOf = (attributes: Readonly<Record<string, unknown>> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, (value as { StringValue: string }).StringValue]),
  );

const listed = ({ name, bus, pattern, targets }: Deployment['rules'][number]): ListedRule => ({
  name,
  bus,
  description: '',
  pattern,
  targets: targets.map(({ arn }, index) => ({ id: `target-${index}`, arn })),
});

import { alarmRang } from '../../../events/alarm-rang.ts';
import type { Rule } from '../../../rules/rule.ts';
import type { Envelope } from '../../../schemas/envelope.ts';
import type { Engine } from '../../engine/engine.ts';
import { LOCAL_RUNTIME, type LocalAgentcore } from '../../engine/local-agentcore-session.ts';
import type { LocalEcs } from '../../engine/local-ecs.ts';
import type { FleetNames, LocalFleet } from '../../engine/local-fleet-records.ts';
import type { LocalRegistry } from '../../engine/local-registry.ts';
import type { Scheduler } from '../../engine/scheduler.ts';
import { agentcoreService } from './agentcore.ts';
import { alarmQueue } from './alarm-queue.ts';
import { archiveOperations } from './archive-operations.ts';
import { autoScalingService } from './auto-scaling.ts';
import type { AwsService, Place } from './aws-service.ts';
import { dynamoDbService } from './dynamodb.ts';
import { ec2Service } from './ec2.ts';
import { ecsService } from './ecs.ts';
import { eventBridgeService, ruleArn } from './eventbridge.ts';
import { DEFAULT_BUS, listedRules } from './listed-rules.ts';
import { memorySchedules } from './memory-schedules.ts';
import { payloadBucket } from './payload-bucket.ts';
import type { TakingBus } from './put-events.ts';
import { replayOperations } from './replay-operations.ts';
import { s3Service } from './s3.ts';
import { schedulerService } from './scheduler.ts';
import { sqsService } from './sqs.ts';
import { ssmService } from './ssm.ts';

/** Where the embedded world says that it is; its ECS and its events say the same. */
const PLACE: Place = { account: '000000000000', region: 'local' };
/** Names of the main stage, as infrastructure gives them. */
const PREFIX = 'baton';
const BUCKET = `${PREFIX}-payloads`;
const ALARM_QUEUE = `${PREFIX}-alarms`;
/** The cluster of the embedded ECS. */
const CLUSTERS = ['baton'];
/** What the policy of the bus leaves to handlers and the alarm clock, which speak by other ways here. What runners say counts by their record. */
const RESERVED_SOURCES: readonly string[] = ['baton', alarmRang.source];

export interface EmbeddedParts {
  readonly engine: Pick<Engine, 'bus' | 'store' | 'alarms' | 'ports' | 'archive' | 'archives' | 'replays'>;
  readonly rules: readonly Rule[];
  readonly ecs: LocalEcs;
  readonly agentcore: LocalAgentcore;
  readonly fleet: LocalFleet;
  readonly fleetNames: FleetNames;
  /** Fewest instances that its group may be made of; left out, as many as it has. */
  readonly fleetMinSize?: number | undefined;
  /** Its task definitions. */
  readonly registry: LocalRegistry;
  readonly scheduler: Scheduler;
  /** Address of the world. */
  readonly url: string;
  readonly warn: (message: string, error: unknown) => void;
}

/** The services of AWS that the embedded world can stand for, over its own parts. */
export function embeddedServices(parts: EmbeddedParts): { services: AwsService[]; stop(): void } {
  const { engine, rules, ecs, agentcore, fleet, registry, scheduler, url, warn } = parts;
  const { now } = engine.ports.clock;
  const queue = alarmQueue({ name: ALARM_QUEUE, place: PLACE, url, alarms: engine.alarms });
  const deliver = (body: string) => queue.send({ body, delaySeconds: 0 });
  const book = memorySchedules({ scheduler, targets: [{ arn: queue.arn, deliver }], warn });
  const listed = listedRules(rules, PREFIX, PLACE);
  const { archive, archives, replays } = engine;
  const kept = { place: PLACE, ownBus: PREFIX, archive, archives, now };
  const named = listed.flatMap((rule) =>
    rule.targets.map(({ id }) => ({ name: id, arn: ruleArn(PLACE, rule), isNative: rule.bus === DEFAULT_BUS })),
  );
  const services = [
    eventBridgeService({
      place: PLACE,
      buses: [ownBus(engine), defaultBus],
      rules: listed,
      more: { ...archiveOperations(kept), ...replayOperations({ ...kept, replays, rules: named }) },
      now,
      warn,
    }),
    ecsService({ place: PLACE, tasks: ecs, clusters: CLUSTERS, registry }),
    agentcoreService({
      sessions: agentcore,
      runtimes: [LOCAL_RUNTIME.runtimeArn],
      qualifiers: [LOCAL_RUNTIME.qualifier],
    }),
    ssmService(fleet),
    ec2Service(fleet, PLACE),
    autoScalingService(fleet, parts.fleetNames, PLACE, parts.fleetMinSize),
    s3Service({ buckets: [payloadBucket(BUCKET, engine.store)] }),
    sqsService({ queues: [queue] }),
    schedulerService({ place: PLACE, groups: [PREFIX], book, now }),
    dynamoDbService({ place: PLACE, table: PREFIX, store: engine.store }),
  ];
  return { services, stop: () => book.stop() };
}

/** The world's own bus. Handlers trust what comes in Baton's own name, so nobody from outside may speak in it. */
function ownBus({ bus, store }: Pick<Engine, 'bus' | 'store'>): TakingBus {
  return {
    name: PREFIX,
    async publish(events: readonly Envelope[]) {
      await bus.publish(events);
      await store.durable();
    },
    refuses: (source) => RESERVED_SOURCES.includes(source),
  };
}

/** Only AWS's own services have rules there, and nobody else may speak in their name: whatever is put matches nothing. */
const defaultBus: TakingBus = { name: DEFAULT_BUS, publish: async () => undefined };

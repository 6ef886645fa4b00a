import { join } from 'node:path';
import { autoScalingService } from '../../runtime/endpoint/aws/auto-scaling.ts';
import type { AwsService } from '../../runtime/endpoint/aws/aws-service.ts';
import { ec2Service } from '../../runtime/endpoint/aws/ec2.ts';
import { ssmService } from '../../runtime/endpoint/aws/ssm.ts';
import { ecsTaskIdOf } from '../../runtime/engine/local-ecs-task.ts';
import { localFleet } from '../../runtime/engine/local-fleet.ts';
import type { LocalFleet, LocalFleetOptions, Loss } from '../../runtime/engine/local-fleet-records.ts';
import { memoryStore } from '../../runtime/engine/memory-store.ts';
import type { Envelope } from '../../schemas/envelope.ts';
import { STAGE_TAG } from '../../schemas/fleet-names.ts';
import type { Deployment } from './deployment.ts';
import { bootMachine, MACHINE_CALLS } from './fleet-machine.ts';
import { ACCOUNT, REGION } from './template.ts';

/** Faults of AWS and of machines, for stories. */
export type FleetFaults = Partial<Pick<LocalFleetOptions, 'failing' | 'failBoot' | 'fate' | 'weather' | 'limits'>>;

export interface FleetOnLoopbackOptions
  extends FleetFaults,
    Pick<
      LocalFleetOptions,
      'clock' | 'dataDir' | 'supervisorCommand' | 'containersCommand' | 'runnerCommand' | 'stopTimeoutSeconds' | 'warn'
    > {
  readonly deployment: Pick<Deployment, 'fleets' | 'documents'>;
  /** Address of the services. */
  readonly url: string;
  /** The default bus. */
  readonly publish: (events: readonly Envelope[]) => Promise<void>;
}

/** EC2, Auto Scaling and Systems Manager of a deployment: its fleet, with workers of this machine in it. */
export interface FleetOnLoopback {
  /** Nothing where no fleet is deployed. */
  readonly services: readonly AwsService[];
  /** What only the fleet itself knows, and what nobody asks of AWS in a deployment. Throws where no fleet is deployed. */
  readonly machines: Pick<LocalFleet, 'instances' | 'commands' | 'scaleIn'>;
  /** Takes a machine away. False if it is not there. */
  interrupt(instanceId: string, how: Loss): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * The machines are those of the embedded fleet, with what the template says of theirs: number, hooks, user data, document. All that a
 * container has of this world is the address of the services; the rest is told by its host.
 */
export function fleetOnLoopback(options: FleetOnLoopbackOptions): FleetOnLoopback {
  const { deployment, url, publish, dataDir, ...given } = options;
  const [fleet, ...more] = deployment.fleets;
  if (more.length > 0) throw new Error('a deployment on loopback has one fleet at the most');
  if (!fleet) return noFleet;
  const { name, group, machines, hooks } = fleet;
  const stage = fleet.tags[STAGE_TAG];
  const names = {
    fleet: name,
    group,
    hook: hooks.terminate.name,
    launchHook: hooks.launch.name,
    ...(stage === undefined ? {} : { stage }),
  };
  const local = localFleet({
    ...given,
    dataDir,
    store: memoryStore(),
    names,
    capacity: machines,
    limits: {
      launchHookMs: hooks.launch.waitSeconds * 1_000,
      terminateHookMs: hooks.terminate.waitSeconds * 1_000,
      ...given.limits,
    },
    documents: Object.fromEntries(deployment.documents.map((document) => [document.name, document.content])),
    bus: (events) => publish(events.map(outward)),
    async announce(instanceId, failure) {
      const dir = join(dataDir, 'workers', instanceId);
      const machine = { dir, instanceId, fleet, region: REGION, url, callsFile: join(dataDir, MACHINE_CALLS) };
      const said = await bootMachine(machine, { fails: failure !== undefined });
      // It has said so itself, or nobody hears of it, as on AWS.
      if (failure === undefined && said !== undefined) given.warn?.(`the boot of ${instanceId} failed`, said);
    },
    containerOf: ({ commandId, parameters: { taskId, attempt } }) => ({
      // The directory that an attempt has on any back end, so that its log is found there.
      runDirName: ecsTaskIdOf(taskId === undefined ? commandId : `${taskId}-${attempt}`),
      environment: { AWS_ENDPOINT_URL: url },
    }),
  });
  local.recover().catch((error: unknown) => given.warn?.('the fleet was not started', error));
  const place = { account: ACCOUNT, region: REGION };
  return {
    services: [ssmService(local), ec2Service(local, place), autoScalingService(local, names, place)],
    machines: local,
    interrupt: (instanceId, how) => local.interrupt(instanceId, how),
    close: () => local.close(),
  };
}

/** The embedded fleet is in a region of its own. */
const outward = (event: Envelope): Envelope => ({
  ...event,
  region: REGION,
  resources: event.resources.map((arn) => arn.replace(/^(arn:aws:[a-z0-9]+):local:/, `$1:${REGION}:`)),
});

const noFleet: FleetOnLoopback = {
  services: [],
  get machines(): never {
    throw new Error('no fleet is deployed');
  },
  interrupt: async () => false,
  close: async () => undefined,
};

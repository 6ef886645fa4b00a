import { readFileSync } from 'node:fs';
import { workerBootFailed } from '../events/worker-boot-failed.ts';
import { workerRegistered } from '../events/worker-registered.ts';
import type { Envelope } from '../schemas/envelope.ts';
import { runDocument } from '../schemas/run-document.ts';
import { commandParameters, workerRunId } from '../schemas/ssm-command.ts';
import { STAGE_DEFAULT } from '../schemas/stage.ts';
import { FLEET_DEFAULT, fleetGroupOf, lifecycleHooks } from '../schemas/worker.ts';
import { PAYLOAD_SECRET_NAME, type PayloadSecrets } from './endpoint/payload-secret.ts';
import { ecsTaskIdOf } from './engine/local-ecs-task.ts';
import { localFleet } from './engine/local-fleet.ts';
import {
  type CommandRecord,
  FleetFault,
  type InstanceRecord,
  type LocalFleet,
  type LocalFleetOptions,
} from './engine/local-fleet-records.ts';
import { unfit } from './engine/local-fleet-worker.ts';
import type { Instances, Machines, RunSignal } from './ports.ts';

/** Workers of one machine: each runs one coding agent at a time, and two of them keep a laptop busy beside the other back ends. */
export const WORKERS = 2;
/** Name of the document that runs attempts, as infrastructure gives it. */
export const RUN_DOCUMENT = 'baton-run';
/** Names the embedded world in what its runs are started by, and in the names of its groups. */
export const LOCAL_STAGE = 'local';
/**
 * The fleet that is meant when none is named, its group and its lifecycle hooks. To whoever asks as AWS is asked it is of the main stage, as
 * the bus, the table and the document are.
 */
export const FLEET = {
  fleet: FLEET_DEFAULT,
  group: fleetGroupOf(LOCAL_STAGE, FLEET_DEFAULT),
  hook: lifecycleHooks.terminate,
  launchHook: lifecycleHooks.launch,
  stage: STAGE_DEFAULT,
} as const;

type Given = Pick<
  LocalFleetOptions,
  'store' | 'clock' | 'dataDir' | 'supervisorCommand' | 'containersCommand' | 'runnerCommand' | 'warn'
>;

export interface EmbeddedFleetOptions extends Given {
  readonly publish: (events: Envelope[]) => Promise<void>;
  readonly secrets: PayloadSecrets;
  /** Where runners find the running world. */
  readonly worldFile: string;
  /** File with the script that workers run: the same as on AWS. */
  readonly script: string;
  /** Takes the report that a runner left in a directory. */
  readonly takeReport: (signal: RunSignal, runDir: string) => Promise<void>;
  readonly runsDirOf: (name: string) => string;
  readonly stopTimeoutSeconds?: number;
  /** Size and faults of the fleet: for tests and demonstrations. */
  readonly changes?: Partial<
    Pick<LocalFleetOptions, 'capacity' | 'limits' | 'failing' | 'failBoot' | 'fate' | 'weather'>
  >;
}

/** The fleet of the embedded world: real host script, runs that find this world, and words of boots on its bus. */
export function embeddedFleet(options: EmbeddedFleetOptions): LocalFleet {
  const { publish, secrets, worldFile, script, takeReport, runsDirOf, stopTimeoutSeconds, changes, ...given } = options;
  return localFleet({
    ...given,
    names: FLEET,
    capacity: WORKERS,
    documents: { [RUN_DOCUMENT]: runDocument(readFileSync(script, 'utf8')) },
    ...(stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds }),
    bus: publish,
    announce: (worker, failure) => publish([announcement(worker, failure, given.clock.now())]),
    containerOf: ({ commandId, parameters: { taskId, attempt, payload = '' } }) => ({
      // Where the run of an attempt is on any back end, so that its log is found.
      runDirName: ecsTaskIdOf(taskId === undefined ? commandId : `${taskId}-${attempt}`),
      environment: { BATON_WORLD_FILE: worldFile, [PAYLOAD_SECRET_NAME]: secrets.of(payload) },
    }),
    async onEnd(command) {
      const signal = signalOf(command);
      if (signal) await takeReport(signal, runsDirOf(ecsTaskIdOf(`${signal.taskId}-${signal.attempt}`)));
    },
    ...changes,
    // Where no boot can succeed, each would be replaced by the next.
    ...(unfit() === undefined ? {} : { capacity: 0 }),
  });
}

/** The machines of the fleet, as Auto Scaling has them: one that is taken away is replaced. */
export function machinesOf(
  fleet: Pick<LocalFleet, 'instances' | 'terminate' | 'protect' | 'completeLifecycle'>,
): Machines & Instances {
  return {
    isThere: async (worker, of) => {
      const found = await instance(worker);
      return found !== undefined && isLiving(found) && found.fleet === of;
    },

    // As EC2 says it: one that shuts down has not ended.
    isGone: async (worker) => ((await instance(worker))?.state ?? 'terminated') === 'terminated',

    async replace({ worker }) {
      const found = await instance(worker);
      if (found?.launching && !found.leaving) await fleet.completeLifecycle(worker, 'launch', true);
      else if (found && isLiving(found)) await fleet.terminate(worker);
    },

    async protect({ worker }, on) {
      if (await unlessRefused(() => fleet.protect(worker, on))) return true;
      const found = await instance(worker);
      return found?.launching !== undefined && isLiving(found) && !found.leaving;
    },

    proceed: async ({ worker }, to) => void (await unlessRefused(() => fleet.completeLifecycle(worker, to))),
  };

  async function instance(worker: string): Promise<InstanceRecord | undefined> {
    return (await fleet.instances()).find(({ instanceId }) => instanceId === worker);
  }
}

const isLiving = ({ state }: InstanceRecord): boolean => state === 'pending' || state === 'running';

/** False where there is no such machine, or not in such a state. */
async function unlessRefused(call: () => Promise<void>): Promise<boolean> {
  try {
    await call();
    return true;
  } catch (error) {
    if (error instanceof FleetFault && (error.kind === 'unknown_instance' || error.kind === 'invalid_parameters'))
      return false;
    throw error;
  }
}

/** Whose run a command was. Anybody may send another at the endpoint. */
function signalOf({ instanceId, parameters }: CommandRecord): RunSignal | undefined {
  const { data } = commandParameters.safeParse(parameters);
  if (data?.action !== 'run') return undefined;
  const owner = { taskId: data.taskId, attempt: Number(data.attempt) };
  return { ...owner, nativeId: workerRunId({ instanceId, ...owner }) };
}

/** The last word of a boot, as `agent/host/boot.sh` puts it. */
function announcement(worker: string, failure: string | undefined, at: string): Envelope {
  const { type, source } = failure === undefined ? workerRegistered : workerBootFailed;
  const data = { fleet: FLEET.fleet, worker, ...(failure === undefined ? {} : { message: failure }) };
  const id = `${worker}#${type}`;
  return {
    version: '0',
    id,
    'detail-type': type,
    source,
    account: '000000000000',
    time: at,
    region: 'local',
    resources: [],
    detail: {
      metadata: { id, correlationId: worker, causationId: id, occurredAt: at, schemaVersion: 1 },
      data,
    },
  };
}

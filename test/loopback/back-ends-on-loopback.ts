import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LocalAgentcoreOptions } from '../../runtime/engine/local-agentcore-session.ts';
import type { Interruption } from '../../runtime/engine/local-ecs.ts';
import type { TaskView } from '../../schemas/task-view.ts';
import { type AgentcoreOnLoopback, agentcoreOnLoopback } from './agentcore-on-loopback.ts';
import { type EcsOnLoopback, type EcsOnLoopbackOptions, ecsOnLoopback } from './ecs-on-loopback.ts';
import { type FleetFaults, type FleetOnLoopback, fleetOnLoopback } from './fleet-on-loopback.ts';
import { REGION } from './template.ts';

export interface BackEndsOptions
  extends Omit<EcsOnLoopbackOptions, 'environment' | 'runnerCommand' | 'supervisorCommand'> {
  /** What every container gets besides: credentials, and addresses of the services. */
  readonly environment: Readonly<Record<string, string>>;
  /** Another runner than the deployed one. */
  readonly runnerCommand?: readonly string[] | undefined;
  /** What is refused to sessions of AgentCore, and what they do not obey. */
  readonly sessions?: Pick<LocalAgentcoreOptions, 'failing' | 'ignoresStop'> | undefined;
  readonly fleet?: FleetOptions | undefined;
  /** Where machines of fleets find the services. */
  readonly machineUrl: string;
}

export interface FleetOptions extends FleetFaults {
  /** Another program in place of what stands for `docker`; it is given the words that run that one, and then its arguments. */
  readonly docker?: readonly string[];
}

/** Where the runs of a deployment are: its back ends, with the deployed runner in their containers. */
export interface BackEnds {
  readonly ecs: EcsOnLoopback;
  readonly agentcore: AgentcoreOnLoopback;
  readonly fleet: FleetOnLoopback;
  /** Takes the machine away under the run of a task. False if it does not run. */
  interrupt(task: Pick<TaskView, 'run' | 'compute'>, how: Interruption): Promise<boolean>;
  close(): Promise<void>;
}

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

const PROGRAM = [process.execPath, join(dist, 'runner-aws.js')];
/** A container's own runner. What only the embedded world tells its runner is taken away: on AWS the runner asks ECS who it is. */
const RUNNER = ['/usr/bin/env', '-u', 'BATON_NATIVE_ID', '-u', 'BATON_WORLD_FILE', ...PROGRAM];
const DOCKER = [process.execPath, join(dist, 'local-containers.js')];

export function backEndsOnLoopback(given: BackEndsOptions): BackEnds {
  const {
    environment,
    runnerCommand,
    sessions,
    fleet: { docker = [], ...faults } = {},
    machineUrl,
    ...options
  } = given;
  const supervisorCommand = [process.execPath, join(dist, 'supervisor.js')];
  const ecs = ecsOnLoopback({
    ...options,
    supervisorCommand,
    runnerCommand: [...(runnerCommand ?? RUNNER)],
    environment: { AWS_REGION: REGION, ...environment },
  });
  const { clock, deployment, dataDir, warn } = options;
  const agentcore = agentcoreOnLoopback({
    ...{ clock, deployment, dataDir, warn, supervisorCommand, ...sessions },
    serverCommand: [...RUNNER, 'serve', ...(runnerCommand ?? [])],
    // In which region it stands a container is told by its runtime alone.
    environment,
  });
  const { publish, stopTimeoutSeconds } = options;
  const fleet = fleetOnLoopback({
    ...{ clock, deployment, dataDir, warn, supervisorCommand, publish, url: machineUrl, ...faults },
    ...(stopTimeoutSeconds === undefined ? {} : { stopTimeoutSeconds }),
    containersCommand: [...docker, ...DOCKER],
    // Here the host says who it is.
    runnerCommand: runnerCommand ?? PROGRAM,
  });
  return {
    ecs,
    agentcore,
    fleet,
    async interrupt({ run, compute }, how) {
      if (run?.nativeId === undefined) return false;
      if (compute === 'ec2') return fleet.interrupt(run.nativeId.split('/')[0] ?? '', how);
      return compute === 'agentcore' ? agentcore.interrupt(run.nativeId) : ecs.interrupt(run.nativeId, how);
    },
    async close() {
      await fleet.close();
      await agentcore.close();
      await ecs.close();
    },
  };
}

import { type FleetBackendOptions, fleetBackend } from '../fleet-backend.ts';
import type { FleetBackend, Machines } from '../ports.ts';
import type { Plant } from './life.ts';
import type { Promises } from './promises.ts';
import type { ControlPlane, Gate, Scene } from './scene.ts';
import { type SimulatedFleet, simulatedFleet } from './simulated-fleet.ts';
import { type HostRun, type HostSurroundings, hostHabits } from './simulated-host.ts';
import type { RunnerOptions } from './simulated-runner.ts';
import { type SimulatedSsm, simulatedSsm } from './simulated-ssm.ts';
import { fleetWaitsOf, type WiredPorts } from './wiring.ts';

export interface Ec2Surroundings {
  readonly scene: Scene;
  readonly stage: string;
  readonly plane: ControlPlane;
  readonly promises: Promises;
  readonly plant: Plant | undefined;
  /** Starts a runner. */
  readonly runner: (
    about: Pick<RunnerOptions, 'nativeId' | 'body' | 'environment' | 'witness' | 'isAskedAbout' | 'ended'>,
  ) => ReturnType<HostSurroundings['boot']>;
}

export interface SimulatedEc2 extends Pick<SimulatedFleet, 'machines'>, Pick<SimulatedSsm, 'commands'> {
  readonly runs: readonly HostRun[];
  /** The back end of fleets, as it is shipped, over the simulated services; and the machines below it. */
  seenBy(gate: Gate, own: WiredPorts): { readonly ec2: FleetBackend; readonly machines: Machines };
}

/** A fleet with all that is outside Baton: machines, their hosts, and Systems Manager between. */
export function simulatedEc2({ scene, stage, plane, promises, plant, runner }: Ec2Surroundings): SimulatedEc2 {
  const runs: HostRun[] = [];
  const hosts = {
    habits: { ...hostHabits, ...plant?.hosts },
    numbered: () => runs.length + 1,
    begins(run: HostRun, left: Parameters<HostSurroundings['begins']>[1]) {
      promises.begins(run, left);
      runs.push(run);
    },
    boot({ nativeId, number, payload, spec }: HostRun, ended: (exitCode: number) => void) {
      const { taskId, attempt } = spec;
      const environment = { BATON_TASK_ID: taskId, BATON_ATTEMPT: String(attempt), BATON_PAYLOAD: payload };
      const body = `${nativeId}/${String(number).padStart(8, '0')}`;
      return runner({ nativeId, body, environment, witness: promises, isAskedAbout: true, ended });
    },
  };
  const fleet = simulatedFleet(scene, stage, plane, hosts, promises);
  const { hostOf, tell } = fleet;
  const ssm = simulatedSsm({ scene, hostOf, tell, reachedOut: promises.reachedOut, sent: promises.commandSent });
  return { runs, machines: fleet.machines, commands: ssm.commands, seenBy };

  function seenBy(gate: Gate, { workers, clock }: WiredPorts) {
    const machines = fleet.seenBy(gate);
    const under: FleetBackendOptions = {
      workers,
      commands: ssm.seenBy(gate),
      clock,
      waits: fleetWaitsOf(scene.timings),
      region: 'local',
      machines,
      warn: (message) => scene.trace.line(`warning: ${message}`),
    };
    return { ec2: fleetBackend(plant?.fleet?.(under) ?? under), machines };
  }
}

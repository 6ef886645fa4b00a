import { awsTimings, type Timings } from '../../lifecycle/timings.ts';
import { awsFleetWaits, embeddedFleetWaits, type FleetWaits } from '../../lifecycle/worker.ts';
import { payloadsOver } from '../payloads.ts';
import type { Alarms, Clock, OutsidePort, Ports, RecordStore, Settings } from '../ports.ts';
import { configurationsOver, limitsOver, repositoriesOver } from '../repositories.ts';
import { type RunnerSide, runsOver } from '../runs.ts';
import { slotsOver } from '../slots.ts';
import { tasksOver } from '../tasks.ts';
import { placesOver, workersOver } from '../workers.ts';

/** The engine's own ports; `runs` with the runner's side. */
export type WiredPorts = Omit<Ports, OutsidePort | 'runs'> & { readonly runs: Ports['runs'] & RunnerSide };

export interface Wiring {
  readonly store: RecordStore;
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly secret: string;
  readonly limitOf: (key: string) => number;
}

/** Both kinds of waits are of one world. */
export const fleetWaitsOf = (timings: Timings): FleetWaits =>
  timings === awsTimings ? awsFleetWaits : embeddedFleetWaits;

/** The ports as one caller sees them, over a store that lets others in between any two of its calls. */
export function wire({ store, alarms, clock, settings, secret, limitOf: usual }: Wiring): WiredPorts {
  const runs = runsOver({ store, clock, secret: () => secret });
  const tasks = tasksOver({ store, alarms, runs, clock, timings: () => settings.timings });
  const repositories = repositoriesOver({ store });
  const configurations = configurationsOver({ store });
  const workers = workersOver({ store, clock, waits: fleetWaitsOf(settings.timings) });
  const limitOf = placesOver(workers, limitsOver(repositories, usual));
  const slots = slotsOver({ store, tasks, clock, limitOf });
  const payloads = payloadsOver({ store, secret: () => secret });
  return { tasks, slots, workers, runs, payloads, repositories, configurations, settings, clock };
}

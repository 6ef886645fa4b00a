import type { Machines } from '../../ports.ts';
import { autoScalingMachines } from '../auto-scaling-machines.ts';
import { autoScaling } from '../clients/auto-scaling.ts';
import type { EnvironmentOf } from '../environment.ts';

/** Machines of the Auto Scaling groups of this deployment. */
export const open = (environment: EnvironmentOf<'machines'>): Machines =>
  autoScalingMachines(autoScaling(), environment.BATON_STAGE);

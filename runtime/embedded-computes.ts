import type { Compute } from '../schemas/compute.ts';
import { unfit } from './engine/local-fleet-worker.ts';

/**
 * The back ends of one machine. ECS is that of tasks that name none: it gives a run that is stopped the time to save its work, and
 * AgentCore gives none.
 */
const EMBEDDED_COMPUTES = ['ecs', 'agentcore', 'ec2'] as const satisfies readonly Compute[];

/** Those of them that this machine can have: not every one can be a worker of a fleet. */
export function embeddedComputes(): readonly [Compute, ...Compute[]] {
  const [usual, ...others] = EMBEDDED_COMPUTES;
  return unfit() === undefined ? EMBEDDED_COMPUTES : [usual, ...others.filter((compute) => compute !== 'ec2')];
}
